// The layers below the agent, one by one, on the local provider with real processes: whatever is
// taken away, the instance goes, and what was complete is on the hub if anybody could send it.

#include "tests/fakes/local_instance.h"
#include "tests/fakes/process_words.h"

namespace mayfly {
namespace {

class LayersTest : public LocalInstance {
 protected:
  LayersTest() {
    times_ = {.fuse = 600s, .tick = 1s, .again = 1s, .look = 1s, .silent = 3s, .rescue = 60s};
    plan_.config.generate.vars = {{"steps_per_epoch", "5"}, {"step_ms", "40"}};
    plan_.config.train.epochs = 1000;
  }

  void launch_and_wait_for_checkpoint() {
    launch(600s);
    const RunDirectory run{plan_.run_dir};
    ASSERT_TRUE(wait_for(
        [&] { return fs::exists(run.checkpoint(10)) && fs::exists(in_root("run/mayfly/ready")); },
        60s))
        << console();
  }
  fs::path in_root(const std::string& name) {
    return provider().folder_of(id_) / "root" / name;
  }
  // The processes of the instance whose command line has `words` in it.
  void signal_all(const std::string& words, int signal) {
    for (const ProcessInfo& process : processes_of(*read_local_record(provider().folder_of(id_)))) {
      if (words_of(process.pid).find(words) != std::string::npos) ::kill(process.pid, signal);
    }
  }
  std::string reason() {
    const Result<std::string> text = read_file(in_root("opt/mayfly/fuse-fired"));
    return text ? *text : "";
  }
  bool has_rescued_branch() {
    const auto names = branches();
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with("stopped-step-"); });
  }
};

TEST_F(LayersTest, AFrozenAgentIsSucceededAndTheWorkIsOnTheHub) {
  start_hub();
  plan_.config.hub.push_checkpoints = false;  // so that only the rescue can have sent it
  launch_and_wait_for_checkpoint();
  signal_all("/bin/agent run ", SIGSTOP);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_TRUE(reason().starts_with("no heartbeat for")) << reason();
  EXPECT_TRUE(has_rescued_branch()) << console();
  EXPECT_EQ(processes_left(), 0);
}

TEST_F(LayersTest, AnAgentWhoseProgramIsGoneIsSucceededAtOnce) {
  launch_and_wait_for_checkpoint();
  fs::remove(in_root("opt/mayfly/bin/agent"));
  signal_all("/bin/agent run ", SIGKILL);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(reason(), "the agent cannot start: exit 127\n");
}

TEST_F(LayersTest, AnAgentThatMayNotBeExecutedIsSucceededAtOnce) {
  launch_and_wait_for_checkpoint();
  fs::permissions(in_root("opt/mayfly/bin/agent"), fs::perms::owner_read);
  signal_all("/bin/agent run ", SIGKILL);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(reason(), "the agent cannot start: exit 126\n");
}

TEST_F(LayersTest, AnAgentThatDiesAgainAndAgainIsSucceeded) {
  times_.look = 600s;  // the watchdog does not see it
  launch(600s);
  for (int i = 0; i < 400 && reason().empty(); ++i) {
    signal_all("/bin/agent run ", SIGKILL);
    std::this_thread::sleep_for(100ms);
  }
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(reason(), "the agent ended five times in ten minutes\n");
}

TEST_F(LayersTest, APlanThatCannotBeReadEndsTheInstanceAtOnceAndSaysWhy) {
  launch_and_wait_for_checkpoint();
  std::ofstream(in_root("opt/mayfly/plan.json"), std::ios::trunc) << "{\"format\": 99}";
  signal_all("/bin/agent run ", SIGKILL);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(reason(), "the agent cannot start: exit 13\n") << console();
  EXPECT_NE(console().find("plan"), std::string::npos) << console();
}

TEST_F(LayersTest, WithoutAWatchdogTheFuseEndsAFrozenAgent) {
  times_.behind = 0s;
  launch(8s);
  const RunDirectory run{plan_.run_dir};
  ASSERT_TRUE(wait_for([&] { return fs::exists(run.events()); }, 60s)) << console();
  signal_all("watch.sh", SIGKILL);
  signal_all("/bin/agent run ", SIGSTOP);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(reason(), "deadline\n");
  EXPECT_EQ(processes_left(), 0);
}

TEST_F(LayersTest, AnAgentThatNeverGetsReadyHasTheStartsTimeOnly) {
  const fs::path program = root_ / "sleeper";
  std::ofstream(program) << "#!/bin/sh\n[ \"$1\" = run ] || exec " MAYFLY_BINARY_DIR
                            "/agent \"$@\"\nexec sleep 600\n";
  fs::permissions(program, fs::perms::owner_all);
  plan_.programs[0] = {"agent", "file://" + program.string(), *sha256_file(program)};
  times_.start = 3s;
  launch(600s);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(reason(), "start\n");
  EXPECT_EQ(processes_left(), 0);
}

TEST_F(LayersTest, WithoutAFuseTheWatchdogEndsAFrozenAgent) {
  launch_and_wait_for_checkpoint();
  signal_all("fuse.sh wait", SIGKILL);
  signal_all("/bin/agent run ", SIGSTOP);
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_TRUE(reason().starts_with("no heartbeat for")) << reason();
}

TEST_F(LayersTest, AFileThatIsNoStateIsNoReasonToStay) {
  launch_and_wait_for_checkpoint();
  const RunDirectory run{plan_.run_dir};
  signal_all("/bin/agent run ", SIGSTOP);
  std::ofstream(run.agent_state(), std::ios::trunc) << "\x01\x02 no state";
  ASSERT_TRUE(wait_until_gone()) << console();
  EXPECT_EQ(processes_left(), 0);
}

}  // namespace
}  // namespace mayfly
