// The watchdog by itself: real script, real sh. What must never happen: that an agent which is gone
// or hangs is taken for a live one, or a live one is ended.
#include "tests/boot/instance_root.h"

namespace mayfly {
namespace {

class WatchTest : public InstanceRoot {
 protected:
  WatchTest() {
    put("run/mayfly/armed", std::to_string(up()) + "\n");
    ready();
  }

  // This test process plays the agent.
  static std::string line(const std::string& boot, long beat, pid_t pid,
                          unsigned long long start_ticks) {
    return boot + " " + std::to_string(beat) + " " + std::to_string(pid) + " " +
           std::to_string(start_ticks) + " " + std::to_string(up() + 700) + "\n";
  }
  void heartbeat(long seconds_ago) {
    put("run/mayfly/heartbeat", line(boot_id(), up() - seconds_ago, ::getpid(), ticks()));
  }
  static unsigned long long ticks() {
    return find_process(::getpid())->start_ticks;
  }
  void expect_taken_over(const std::string& reason) {
    // The stand-in agent is this test: the rescue must not kill it.
    const Ran ran = run("watch.sh", {"look"});
    EXPECT_EQ(ran.code, 128 + SIGKILL) << ran.output;
    EXPECT_NE(ran.output.find(reason), std::string::npos) << ran.output;
    EXPECT_TRUE(asked().starts_with("agent rescue --plan ")) << asked();
    EXPECT_NE(asked().find("local-end --instance"), std::string::npos) << asked();
    EXPECT_NE(read_file(folder_ / "opt/mayfly/fuse-fired")->find(reason), std::string::npos);
  }
  void expect_left_alone() {
    const Ran ran = run("watch.sh", {"look"});
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_EQ(asked(), "");
  }
};

// A process that can stand for an agent and be killed.
pid_t sleeper() {
  SpawnSpec spec;
  spec.argv = {"/bin/sleep", "60"};
  return *spawn(spec);
}

TEST_F(WatchTest, LeavesALiveAgentAlone) {
  heartbeat(0);
  expect_left_alone();
  heartbeat(4);
  expect_left_alone();
}

TEST_F(WatchTest, TakesOverFromAnAgentThatHangs) {
  const pid_t agent = sleeper();
  put("run/mayfly/heartbeat", line(boot_id(), up() - 7, agent, find_process(agent)->start_ticks));
  expect_taken_over("no heartbeat for");
  EXPECT_EQ(*wait_for_exit(agent, std::chrono::seconds(5)), 128 + SIGKILL);  // it must not act now
}

TEST_F(WatchTest, TheTimeOfTheFileSaysNothing) {
  const pid_t agent = sleeper();
  put("run/mayfly/heartbeat", line(boot_id(), up() - 7, agent, find_process(agent)->start_ticks));
  std::filesystem::last_write_time(folder_ / "run/mayfly/heartbeat",
                                   std::filesystem::file_time_type::clock::now());
  expect_taken_over("no heartbeat for");
  (void)wait_for_exit(agent, std::chrono::seconds(5));
}

TEST_F(WatchTest, AFileFromYesterdayMayBeAFreshHeartbeat) {
  heartbeat(0);
  std::filesystem::last_write_time(
      folder_ / "run/mayfly/heartbeat",
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(24));
  expect_left_alone();
}

TEST_F(WatchTest, TakesOverFromAnAgentThatIsDeadAtOnce) {
  const pid_t agent = sleeper();
  const auto start = find_process(agent)->start_ticks;
  ::kill(agent, SIGKILL);
  (void)wait_for_exit(agent, std::chrono::seconds(5));
  put("run/mayfly/heartbeat", line(boot_id(), up(), agent, start));
  expect_taken_over("does not come back");
}

TEST_F(WatchTest, AnotherProcessWithTheSameNumberIsNotTheAgent) {
  put("run/mayfly/heartbeat", line(boot_id(), up(), ::getpid(), ticks() - 1));
  expect_taken_over("does not come back");
}

TEST_F(WatchTest, AHeartbeatOfAnotherBootIsNone) {
  const auto of_before = line("00000000-0000-4000-8000-000000000000", up(), ::getpid(), ticks());
  put("run/mayfly/heartbeat", of_before);
  put("run/mayfly/ready", std::to_string(up()) + "\n");
  expect_left_alone();  // it was ready just now
  put("run/mayfly/ready", std::to_string(up() - 7) + "\n");
  expect_taken_over("the heartbeat is lost");
}

TEST_F(WatchTest, AnAgentThatLetsTheLastDeadlinePassIsSucceeded) {
  // FUSE 1000, BEHIND 300, LATE 120: the hard deadline is at 700, the watchdog's turn at 820.
  const pid_t agent = sleeper();
  const auto beat = [&] {
    put("run/mayfly/heartbeat", line(boot_id(), up(), agent, find_process(agent)->start_ticks));
  };
  put("opt/mayfly/life", boot_id() + " " + std::to_string(up()) + " 810 0\n");
  beat();
  expect_left_alone();
  put("opt/mayfly/life", boot_id() + " " + std::to_string(up()) + " 820 0\n");
  std::filesystem::remove(folder_ / "run/mayfly/life");
  beat();
  expect_taken_over("last deadline");
  (void)wait_for_exit(agent, std::chrono::seconds(5));
}

TEST_F(WatchTest, BeforeReadyItIsTheFusesBusiness) {
  std::filesystem::remove(folder_ / "run/mayfly/ready");
  expect_left_alone();
  // Here no systemd runs `fuse.sh ready`: the first heartbeat does.
  heartbeat(0);
  expect_left_alone();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/mayfly/ready"));
}

TEST_F(WatchTest, DestroysWithoutAnAgentThatCouldSave) {
  std::filesystem::remove(folder_ / "opt/mayfly/bin/agent");
  put("run/mayfly/heartbeat", line(boot_id(), up(), ::getpid(), ticks() - 1));
  const Ran ran = run("watch.sh", {"look"});
  EXPECT_NE(ran.output.find("nothing was saved"), std::string::npos) << ran.output;
  EXPECT_NE(asked().find("local-end"), std::string::npos);
}

TEST_F(WatchTest, ASaverThatHangsHasItsTime) {
  times("FUSE=1000 BEHIND=300 START=500 TICK=1 AGAIN=1 LOOK=1 SILENT=5 LATE=120 RESCUE=1");
  program("opt/mayfly/bin/agent", "trap '' TERM; sleep 60");
  put("run/mayfly/heartbeat", line(boot_id(), up(), ::getpid(), ticks() - 1));
  const Ran ran = run("watch.sh", {"look"});
  EXPECT_EQ(ran.code, 128 + SIGKILL) << ran.output;
  EXPECT_NE(asked().find("local-end"), std::string::npos);
}

}  // namespace
}  // namespace mayfly
