// ssh gets words from a provider's answer. What must not happen: that one of them is an option of
// ssh, or that a host key is taken which nobody knew before.
#include "launcher/shell_command.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(ShellCommandTest, TrustsOurKnownHostsAlone) {
  const auto words = ssh_arguments("ubuntu@192.0.2.7:2222", "/state/known_hosts/r", {"ls", "-l"});
  ASSERT_TRUE(words);
  const auto has = [&](const std::string& word) {
    return std::find(words->begin(), words->end(), word) != words->end();
  };
  EXPECT_TRUE(has("StrictHostKeyChecking=yes"));
  EXPECT_TRUE(has("UserKnownHostsFile=/state/known_hosts/r"));
  EXPECT_TRUE(has("GlobalKnownHostsFile=/dev/null"));
  EXPECT_TRUE(has("2222"));
  const auto end = std::find(words->begin(), words->end(), "--");
  EXPECT_EQ(std::vector<std::string>(end, words->end()),
            (std::vector<std::string>{"--", "ubuntu@192.0.2.7", "ls", "-l"}));
  const auto plain = ssh_arguments("root@box", "/k", {});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->back(), "root@box");
}

TEST(ShellCommandTest, RefusesAnAddressThatIsNone) {
  for (const char* address :
       {"", "box", "@box", "root@", "-oProxyCommand=x@y", "root@-oProxyCommand=x",
        "root@box:", "root@box:0", "root@box:65536", "root@box:22x", "root@:22"}) {
    EXPECT_FALSE(ssh_arguments(address, "/k", {})) << address;
  }
}

TEST(ShellCommandTest, SaysByNameWhatNeedsSsh) {
  KnownRun run;
  run.name = "one";
  run.provider = "local";
  EXPECT_TRUE(reachable_without_ssh(run, "ask its agent"));
  run.provider = "lambda";
  const Status far = reachable_without_ssh(run, "ask its agent");
  ASSERT_FALSE(far);
  EXPECT_EQ(far.error().kind, ErrorKind::unsupported);
  EXPECT_NE(far.error().message.find("lambda"), std::string::npos);
}

}  // namespace
}  // namespace mayfly
