// The last resort of a machine whose programs are all dead: curl alone, with a file. So the real
// curl sends it here, to each vendor's fake, and the machine must end.
#include "core/provider/destroy_file.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "core/spawn.h"
#include "tests/clouds/rig.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class DestroyFileTest : public TemporaryFolder {
 protected:
  // Whether curl sent the request of that file.
  bool curl(const std::string& config) {
    const auto file = put("destroy.curl", config);
    SpawnSpec spec;
    spec.argv = {"/usr/bin/curl", "-q", "-s", "-o",         "/dev/null",
                 "--noproxy",     "*",  "-K", file.string()};
    spec.environment = {"PATH=/usr/bin:/bin"};
    const Result<pid_t> started = spawn(spec);
    const Result<int> code = started ? wait_for_exit(*started, 20s) : Result<int>(started.error());
    return code && *code == 0;
  }
};

TEST_F(DestroyFileTest, EndsAMachineOfEveryVendorThatNeedsIt) {
  if (!std::filesystem::exists("/usr/bin/curl")) GTEST_SKIP() << "there is no curl here";
  int tried = 0;
  for (const CloudKind& kind : cloud_kinds()) {
    Rig rig(kind);
    const auto call = rig.provider->destroy_call();
    EXPECT_EQ(call.has_value(), !rig.provider->traits().power_off_ends_billing) << kind.name;
    if (!call) continue;
    const auto instance = rig.rent_one();
    ASSERT_TRUE(instance) << kind.name;
    const auto config = destroy_config(*call, instance->id);
    ASSERT_TRUE(config);
    rig.clock.sleep_for(5s);  // a vendor's pace
    EXPECT_TRUE(curl(*config)) << kind.name;
    rig.clock.sleep_for(60s);
    EXPECT_EQ(rig.cloud->fleet.billing(), 0) << kind.name;
    ++tried;
  }
  EXPECT_EQ(tried, 3);
}

TEST_F(DestroyFileTest, SaysWhereItGoesForTheWatchdog) {
  const DestroyCall call{"POST", "https://api.example.com/v1/{id}/delete", "", {}};
  EXPECT_THAT(*destroy_config(call, "i-1"), testing::StartsWith("# host api.example.com 443\n"));
}

TEST_F(DestroyFileTest, QuotesForCurl) {
  const DestroyCall call{
      "POST", "http://127.0.0.1:9/{id}", R"({"id":"{id}\"})", {{"X-Key", Secret(R"(a"b\c)")}}};
  const auto config = destroy_config(call, "i-1");
  ASSERT_TRUE(config);
  EXPECT_THAT(*config, HasSubstr("url = \"http://127.0.0.1:9/i-1\"\n"));
  EXPECT_THAT(*config, HasSubstr(R"(header = "X-Key: a\"b\\c")"));
  EXPECT_THAT(*config, HasSubstr(R"(data-raw = "{\"id\":\"i-1\\\"}")"));
}

TEST_F(DestroyFileTest, WritesNoLineThatItDidNotMean) {
  const DestroyCall call{"POST", "https://h/{id}", "", {{"X-Key", Secret("a\nurl = evil")}}};
  EXPECT_FALSE(destroy_config(call, "i-1"));
  EXPECT_FALSE(destroy_config({"POST", "https://h/{id}", "", {}}, "i\n1"));
  EXPECT_FALSE(destroy_config({"POST", "https://h/{id}", "", {}}, "i/1"));
  EXPECT_FALSE(destroy_config({"POST", "https://h/{id}", "", {}}, ""));
  EXPECT_FALSE(destroy_config({"POST", "ftp://h/{id}", "", {}}, "i-1"));
}

}  // namespace
}  // namespace mayfly
