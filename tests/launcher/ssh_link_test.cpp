// ssh gets words from a provider's answer. What must not happen: that one of them is an option of
// ssh, or that a host key is taken which nobody knew before.
#include "launcher/ssh_link.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

class SshLinkTest : public TemporaryFolder {
 protected:
  static bool has(const SshLink& link, const std::string& word) {
    return std::find(link.words().begin(), link.words().end(), word) != link.words().end();
  }
};

TEST_F(SshLinkTest, TrustsOurKnownHostsAlone) {
  ASSERT_TRUE(pin_host_key(folder_, "r", "ssh-ed25519 AAAA"));
  EXPECT_EQ(*read_file(folder_ / "known_hosts/r"), "mayfly-r ssh-ed25519 AAAA\n");
  const auto link = SshLink::to("ubuntu@192.0.2.7:2222", "r", folder_);
  ASSERT_TRUE(link);
  EXPECT_TRUE(has(*link, "StrictHostKeyChecking=yes"));
  EXPECT_TRUE(has(*link, "UserKnownHostsFile=" + (folder_ / "known_hosts/r").string()));
  EXPECT_TRUE(has(*link, "GlobalKnownHostsFile=/dev/null"));
  EXPECT_TRUE(has(*link, "HostKeyAlias=mayfly-r"));
  EXPECT_TRUE(has(*link, "2222"));
  EXPECT_EQ(link->words().back(), "ubuntu@192.0.2.7");
}

// A container's host key cannot be given to it: the first contact decides, and never another.
TEST_F(SshLinkTest, TakesAnUnknownKeyOnlyWhereNoneIsKnown) {
  const auto link = SshLink::to("root@box", "r", folder_);
  ASSERT_TRUE(link);
  EXPECT_TRUE(has(*link, "StrictHostKeyChecking=accept-new"));
}

TEST_F(SshLinkTest, RefusesAnAddressThatIsNone) {
  for (const char* address :
       {"", "box", "@box", "root@", "-oProxyCommand=x@y", "root@-oProxyCommand=x",
        "root@box:", "root@box:0", "root@box:65536", "root@box:22x", "root@:22"}) {
    EXPECT_FALSE(SshLink::to(address, "r", folder_)) << address;
  }
}

}  // namespace
}  // namespace mayfly
