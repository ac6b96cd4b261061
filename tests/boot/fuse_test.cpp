// The boot fuse by itself: real script, real sh. What must never happen: that a reboot or a clock
// which jumps lets an instance live longer, or ends one that has time left.
#include "tests/boot/instance_root.h"

namespace mayfly {
namespace {

constexpr const char* kOtherBoot = "00000000-0000-4000-8000-000000000000";

class FuseTest : public InstanceRoot {
 protected:
  FuseTest() {
    wall_clock(1'800'000'000);
  }
};

TEST_F(FuseTest, CountsFromTheFirstLook) {
  EXPECT_EQ(left(), 1000);
  life(boot_id(), up() - 400, 100, 0);
  std::filesystem::remove(folder_ / "run/mayfly/life");
  EXPECT_NEAR(static_cast<double>(left()), 500, 2);
}

TEST_F(FuseTest, ARebootGoesOnWhereItWas) {
  // Saved 30 s before this boot began.
  life(kOtherBoot, 5000, 200, 1'800'000'000 - up() - 30);
  times("FUSE=100000000 BEHIND=300 START=500");
  EXPECT_NEAR(static_cast<double>(100'000'000 - left()), static_cast<double>(200 + up() + 30), 2);
}

TEST_F(FuseTest, AClockThatIsWrongAfterARebootCountsAsAMinute) {
  times("FUSE=100000000 BEHIND=300 START=500");
  for (const long wall : {0L, 60L, 1'800'000'000L + 86'400, 4'039'372'800L}) {  // 1970 .. 2098
    wall_clock(wall);
    std::filesystem::remove(folder_ / "run/mayfly/life");
    life(kOtherBoot, 5000, 200, 1'800'000'000 - up());
    EXPECT_NEAR(static_cast<double>(100'000'000 - left()), static_cast<double>(200 + up() + 60), 2)
        << wall;
  }
}

TEST_F(FuseTest, AClockThatJumpsDuringABootChangesNothing) {
  EXPECT_EQ(left(), 1000);
  for (const long wall : {0L, 1'800'000'000L - 86'400, 1'800'000'000L + 86'400, 4'039'372'800L}) {
    wall_clock(wall);
    EXPECT_NEAR(static_cast<double>(left()), 1000, 5) << wall;
  }
}

TEST_F(FuseTest, ADamagedFileIsNotBelieved) {
  put("run/mayfly/life", "what is this\n");
  life(boot_id(), up() - 400, 100, 0);
  EXPECT_NEAR(static_cast<double>(left()), 500, 2);  // by the copy on the disk
  put("run/mayfly/life", boot_id() + " 99999999999999 7 1\n");
  put("opt/mayfly/life", "");
  EXPECT_NEAR(static_cast<double>(left()), 1000, 2);
}

TEST_F(FuseTest, ReadyBringsTheAgentsDeadlineForwardAndNeverBack) {
  EXPECT_EQ(left(), 1000);
  put("run/mayfly/heartbeat",
      boot_id() + " " + std::to_string(up()) + " 1 1 " + std::to_string(up() + 100) + "\n");
  EXPECT_EQ(run("fuse.sh", {"ready"}).code, 0);
  EXPECT_NEAR(static_cast<double>(left()), 400, 3);  // 100 and BEHIND
  put("run/mayfly/heartbeat",
      boot_id() + " " + std::to_string(up()) + " 1 1 " + std::to_string(up() + 9999) + "\n");
  EXPECT_EQ(run("fuse.sh", {"ready"}).code, 0);
  EXPECT_NEAR(static_cast<double>(left()), 400, 5);
}

TEST_F(FuseTest, WhatWasBoughtInAdditionCountsWithinAMonth) {
  put("var/lib/mayfly/extended", "250\n");
  EXPECT_NEAR(static_cast<double>(left()), 1250, 2);
  for (const char* no : {"2592001", "-5", "1e9", "", "9999999999999999999999"}) {
    put("var/lib/mayfly/extended", std::string(no) + "\n");
    EXPECT_NEAR(static_cast<double>(left()), 1000, 5) << no;
  }
}

TEST_F(FuseTest, FiresAtTheLastDeadlineAndNotBefore) {
  ready();
  put("run/mayfly/armed", std::to_string(up()) + "\n");
  life(boot_id(), up(), 990, 0);
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 0);
  EXPECT_EQ(asked(), "");
  life(boot_id(), up(), 1000, 0);
  std::filesystem::remove(folder_ / "run/mayfly/life");
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 128 + SIGKILL);
  EXPECT_EQ(asked(), "local-end --instance " + folder_.string() + "\n");
  EXPECT_EQ(*read_file(folder_ / "opt/mayfly/fuse-fired"), "deadline\n");
}

TEST_F(FuseTest, WithoutReadyTheStartsOwnDeadlineEndsIt) {
  put("run/mayfly/armed", std::to_string(up() - 490) + "\n");
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 0);
  put("run/mayfly/armed", std::to_string(up() - 500) + "\n");
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 128 + SIGKILL);
  EXPECT_EQ(*read_file(folder_ / "opt/mayfly/fuse-fired"), "start\n");
}

TEST_F(FuseTest, ReadyLiftsTheStartsDeadlineOnly) {
  ready();
  put("run/mayfly/armed", std::to_string(up() - 5000) + "\n");
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 0);
  EXPECT_EQ(asked(), "");
}

// An accepted request is no reason to stop asking.
TEST_F(FuseTest, AsksAgainUntilItIsGone) {
  program(
      "host",
      "echo asked >> \"$MAYFLY_ROOT/asked\"; [ \"$(wc -l < \"$MAYFLY_ROOT/asked\")\" -lt 3 ] || "
      "kill -9 0; exit 0");
  EXPECT_EQ(run("fuse.sh", {"fire", "a reason"}).code, 128 + SIGKILL);
  EXPECT_EQ(asked(), "asked\nasked\nasked\n");
}

// The copy is there for lives that still upload: as long as the provider refuses, there may be one.
TEST_F(FuseTest, TakesTheKeptSecretsAwayWhenTheProviderAcceptsAndNotBefore) {
  const auto kept = put("var/lib/mayfly/secrets.kept", "{}\n");
  ready();
  put("run/mayfly/armed", std::to_string(up()) + "\n");
  life(boot_id(), up(), 990, 0);
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(kept));
  program("host",
          "cd \"$MAYFLY_ROOT\"; [ -e var/lib/mayfly/secrets.kept ] && echo kept >> asked; "
          "echo asked >> asked; times=$(grep -c asked asked); "
          "[ $times -lt 3 ] || kill -9 0; [ $times -ge 2 ]");  // the second time it accepts
  EXPECT_EQ(run("fuse.sh", {"fire", "a reason"}).code, 128 + SIGKILL);
  EXPECT_EQ(asked(), "kept\nasked\nkept\nasked\nasked\n");
}

TEST_F(FuseTest, NeedsNoDiskToFire) {
  // A folder where the files should be: nothing can be written there, whoever one is.
  for (const char* name : {"life.new", "fuse-fired.new", "total.new"}) {
    std::filesystem::create_directories(folder_ / "opt/mayfly" / name);
  }
  std::filesystem::create_directories(folder_ / "run/mayfly/life.new");
  std::filesystem::create_directories(folder_ / "var/lib/mayfly/secrets.kept");
  ready();
  life(boot_id(), up(), 1000, 0);
  EXPECT_EQ(run("fuse.sh", {"check"}).code, 128 + SIGKILL);
  EXPECT_NE(asked(), "");
}

}  // namespace
}  // namespace mayfly
