// `launch hub`: what is typed wrong is refused before anything is asked of a hub. That it does what
// it says is shown against a hub in tests/oracle_hub.
#include "launcher/hub_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::HasSubstr;

Result<ExitCode> run(std::vector<std::string> words) {
  SystemClock clock;
  // Nothing listens there: a request would end as unreachable, not as a mistake of the user.
  return hub_command({std::move(words), false, false}, {"http://127.0.0.1:1", Secret()}, clock);
}

TEST(HubCommandTest, RefusesWordsThatMakeNoSense) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"upload", "a/b"},
      {"ls"},
      {"ls", "a/b", "c"},
      {"put", "a/b"},
      {"put", "a/b", "x", "y", "z"},
      {"get", "a/b"},
      {"create"},
      {"ls", "a/b@"},
  };
  for (const auto& words : wrong) {
    const auto ended = run(words);
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().kind, ErrorKind::usage) << ended.error().message;
  }
}

TEST(HubCommandTest, RefusesNamesThatNoHubHas) {
  for (const char* name : {"a", "a/b/c", "datasets/a", "a/b c", "../x"}) {
    const auto ended = run({"ls", name});
    ASSERT_FALSE(ended) << name;
    EXPECT_EQ(ended.error().kind, ErrorKind::invalid_config);
    EXPECT_THAT(ended.error().message, HasSubstr("repository"));
  }
}

TEST(HubCommandTest, LooksAtLocalFilesFirst) {
  const auto ended = run({"put", "a/b", "/no/such/file"});
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace mayfly
