// T15 with the real agent and processes that hang: each is found within the limit and ten seconds,
// and what only takes long is left alone.
#include <csignal>

#include "tests/fakes/local_instance.h"

namespace mayfly {
namespace {

class HangTest : public LocalInstance {
 protected:
  static constexpr double kLimitMinutes = 0.05;
  static constexpr auto kLimit = 3s;

  // The instance's trainer, of which there is one or none.
  pid_t trainer() {
    for (const ProcessInfo& process : all_processes()) {
      const bool is_ours = process_variable(process.pid, kInstanceVariable).value == id_;
      const auto name = read_file("/proc/" + std::to_string(process.pid) + "/comm");
      if (process.alive() && is_ours && name && *name == "train\n") return process.pid;
    }
    return 0;
  }
  // 0: not in that time.
  pid_t other_trainer_than(pid_t before, std::chrono::seconds limit) {
    pid_t found = 0;
    wait_for([&] { return (found = trainer()) != 0 && found != before; }, limit);
    return found == before ? 0 : found;
  }
  RunStatus status() {
    const Result<RunStatus> status = read_status(RunDirectory{plan_.run_dir}.status());
    EXPECT_TRUE(status) << console();
    return status ? *status : RunStatus{};
  }
};

TEST_F(HangTest, AStoppedTrainerIsFoundAndItsSuccessorEndsTheRun) {
  plan_.config.generate.vars = {{"step_ms", "50"}, {"steps_per_epoch", "40"}};
  plan_.config.limits.stall_minutes = kLimitMinutes;
  launch(600s);
  const RunDirectory run{plan_.run_dir};
  ASSERT_TRUE(wait_for([&] { return fs::exists(run.checkpoint(40)); }, 90s)) << console();
  const pid_t stopped = trainer();
  ASSERT_NE(stopped, 0);
  ASSERT_EQ(::kill(stopped, SIGSTOP), 0);
  const SteadyTime hung_at = clock_.steady_now();
  EXPECT_NE(other_trainer_than(stopped, 60s), 0) << console();
  EXPECT_LE(clock_.steady_now() - hung_at, kLimit + 10s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const RunStatus end = status();
  EXPECT_EQ(end.reason, "finished") << end.detail;
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(end.trainer_restarts, 1);
  EXPECT_EQ(processes_left(), 0);
}

TEST_F(HangTest, ATrainerThatNeverSaysAWordIsGivenUp) {
  plan_.config.generate.vars = {{"hang_at", "0"}, {"deaf", "yes"}};
  plan_.config.limits.stall_minutes = kLimitMinutes;
  launch(600s);
  pid_t first = 0;
  ASSERT_TRUE(wait_for([&] { return (first = trainer()) != 0; }, 90s)) << console();
  const SteadyTime started_at = clock_.steady_now();
  EXPECT_NE(other_trainer_than(first, 60s), 0) << console();
  EXPECT_LE(clock_.steady_now() - started_at, kLimit + 10s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const RunStatus end = status();
  EXPECT_EQ(end.reason, "stalled") << end.detail;
  EXPECT_EQ(end.exit_code, 10);
  EXPECT_EQ(processes_left(), 0);
}

TEST_F(HangTest, AnEvaluationLongerThanTheLimitsIsNoHang) {
  plan_.config.generate.vars = {{"steps_per_epoch", "2"}, {"evaluate_ms", "6000"}};
  plan_.config.train.epochs = 1;
  plan_.config.limits.stall_minutes = kLimitMinutes;
  plan_.config.limits.idle_minutes = kLimitMinutes;
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  const RunStatus end = status();
  EXPECT_EQ(end.reason, "finished") << end.detail;
  EXPECT_EQ(end.trainer_restarts, 0);
}

}  // namespace
}  // namespace mayfly
