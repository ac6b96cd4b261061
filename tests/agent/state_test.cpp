// The agent's decisions, one at a time. What could go wrong: training that is not saved before the
// end, an end that is never reached, a trainer that is started twice or for ever.
#include "agent/state.h"

#include <algorithm>
#include <csignal>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "agent/ending.h"
#include "agent/state_json.h"
#include "core/json.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

constexpr auto kRunning = TrainerView::Kind::running;

// Drives advance() turn by turn, as the loop would.
class StateTest : public ::testing::Test {
 protected:
  StateTest() {
    policy_.limit.price = {dollars(12), 1s};
    policy_.limit.limits.spend_limit = dollars(12);  // an hour
    policy_.limit.limits.reserve = 5min;
    policy_.limit.destroying_takes = 1min;
    policy_.has_hub = true;
    policy_.status_every = 24h;
  }

  void turn() {
    seen_.now = WallTime(seen_.age);
    Step step = advance(policy_, state_, seen_);
    // Each state survives being written and read, or a restart would decide otherwise.
    const AgentMemory memory{"run", {"boot", {}, seen_.age}, step.state};
    const auto read = memory_from_json(memory_to_json(memory));
    ASSERT_TRUE(read) << read.error().message;
    state_ = read->state;
    actions_.clear();
    for (const Action& action : step.actions) actions_.push_back(action_text(action));
    const TrainerView trainer = seen_.trainer;
    const FetchView fetch = seen_.fetch;
    const SelfTestView self_tests = seen_.self_tests;
    const Age age = seen_.age;
    seen_ = {};
    seen_.self_tests = self_tests;
    seen_.trainer = trainer;
    seen_.fetch = fetch;
    seen_.age = age + 1s;
  }
  void say(EventBody body) {
    seen_.events.push_back({next_seq_++, seen_.now, std::move(body)});
  }
  void safe(const std::string& label) {
    seen_.uploads.push_back({label, "c0ffee", "abc", {}});
  }
  bool did(const std::string& action) const {
    return std::find(actions_.begin(), actions_.end(), action) != actions_.end();
  }

  void pass_self_tests() {
    turn();
    EXPECT_TRUE(did("start_self_tests"));
    seen_.self_tests.kind = SelfTestView::Kind::done;
  }
  void start_training() {
    pass_self_tests();
    turn();
    seen_.fetch.kind = FetchView::Kind::done;
    turn();
    seen_.trainer.kind = kRunning;
    say(StartedEvent{});
    turn();
    ASSERT_EQ(state_.stage, Stage::training);
  }
  void finish_training() {
    say(FinishedEvent{.steps = 8, .seconds = 1, .stopped = false, .path = "adapter"});
    seen_.trainer = {TrainerView::Kind::exited, 0};
    turn();
  }
  void step_to(std::int64_t step) {
    StepEvent event;
    event.step = step;
    event.of = 8;
    say(event);
  }

  AgentPolicy policy_;
  AgentState state_;
  Observation seen_;
  std::int64_t next_seq_ = 0;
  std::vector<std::string> actions_;
};

TEST_F(StateTest, ARunThatGoesWellIsPublishedBeforeItIsDestroyed) {
  pass_self_tests();
  turn();
  EXPECT_TRUE(did("start_fetch"));
  seen_.fetch.kind = FetchView::Kind::done;
  turn();
  EXPECT_TRUE(did("start_trainer"));
  seen_.trainer.kind = kRunning;
  say(StartedEvent{});
  say(CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10});
  turn();
  EXPECT_TRUE(did("send_upload checkpoint-epoch-1"));
  EXPECT_FALSE(did("release_checkpoint checkpoints/checkpoint-4"));
  safe("checkpoint-epoch-1");
  turn();
  EXPECT_TRUE(did("release_checkpoint checkpoints/checkpoint-4"));

  finish_training();
  EXPECT_EQ(state_.stage, Stage::uploading);
  turn();
  EXPECT_TRUE(did("send_upload main"));
  turn();
  EXPECT_EQ(state_.stage, Stage::uploading);  // not safe yet
  safe("main");
  turn();
  EXPECT_TRUE(did("send_logs"));
  safe("logs");
  turn();
  EXPECT_EQ(state_.exit_code, 0);
  EXPECT_TRUE(did("ask_destroy"));
  seen_.destroy = DestroyAnswer{true, "accepted"};
  turn();
  EXPECT_TRUE(did("write_receipt"));
  EXPECT_EQ(state_.stage, Stage::confirming);
  EXPECT_FALSE(state_.gone);
  seen_.instance = Result<InstanceState>(InstanceState::gone);
  turn();
  EXPECT_TRUE(state_.gone);
}

TEST_F(StateTest, NoUploadWithoutAHubAndStillDestroyed) {
  policy_.has_hub = false;
  start_training();
  say(CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10});
  turn();
  EXPECT_TRUE(did("release_checkpoint checkpoints/checkpoint-4"));
  finish_training();
  turn();
  EXPECT_TRUE(did("ask_destroy"));
  EXPECT_EQ(state_.exit_code, 0);
}

TEST_F(StateTest, OnlyEveryNthEpochIsUploaded) {
  policy_.checkpoint_every_epochs = 2;
  start_training();
  say(CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10});
  say(CheckpointEvent{6, 1.5, {}, "checkpoints/checkpoint-6", 10});
  say(CheckpointEvent{8, 2.0, 2, "checkpoints/checkpoint-8", 10});
  turn();
  EXPECT_TRUE(did("release_checkpoint checkpoints/checkpoint-4"));
  EXPECT_TRUE(did("release_checkpoint checkpoints/checkpoint-6"));
  EXPECT_FALSE(did("send_upload checkpoint-epoch-1"));
  EXPECT_TRUE(did("send_upload checkpoint-epoch-2"));
}

TEST_F(StateTest, EventsReadAgainAfterARestartChangeNothing) {
  start_training();
  say(CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10});
  const std::vector<Event> again = seen_.events;
  turn();
  safe("checkpoint-epoch-1");
  turn();
  seen_.agent_started = true;
  seen_.events = again;
  turn();
  EXPECT_FALSE(did("send_upload checkpoint-epoch-1"));
  EXPECT_EQ(state_.uploads.size(), 1U);
}

TEST_F(StateTest, TheSpendLimitSavesWithinItsReserve) {
  start_training();
  seen_.age = 1h - 1min - 5min - 3min - 1s;  // destroying, the reserve, the rescue budget
  step_to(3);
  turn();
  EXPECT_EQ(state_.stage, Stage::training);
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGTERM)));
  EXPECT_EQ(state_.stage, Stage::saving);
  EXPECT_EQ(state_.reason, StopReason::spend_limit);

  say(CheckpointEvent{4, 0.5, {}, "checkpoints/checkpoint-4", 10});
  say(FinishedEvent{.steps = 4, .seconds = 1, .stopped = true, .path = ""});
  seen_.trainer = {TrainerView::Kind::exited, 0};
  turn();
  EXPECT_EQ(state_.stage, Stage::uploading);
  seen_.newest_checkpoint = NewestCheckpoint{"checkpoints/checkpoint-4", 4};
  turn();
  EXPECT_TRUE(did("send_upload stopped-step-4"));
  safe("stopped-step-4");
  turn();
  safe("logs");
  turn();
  EXPECT_TRUE(did("ask_destroy"));
  EXPECT_EQ(state_.exit_code, 14);
}

TEST_F(StateTest, ADeafTrainerIsKilledAfterAMinuteAndAFrozenOneIsLeftBehind) {
  start_training();
  seen_.terminations = 1;
  turn();
  ASSERT_EQ(state_.stage, Stage::saving);
  const Age asked = state_.entered_at;
  seen_.age = asked + 60s - 1ms;
  turn();
  EXPECT_FALSE(did("signal_trainer " + std::to_string(SIGKILL)));
  seen_.age = asked + 60s;
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGKILL)));
  seen_.age = asked + 70s;
  turn();
  EXPECT_EQ(state_.stage, Stage::uploading);
}

TEST_F(StateTest, ATrainerWithLongStepsIsGivenTheTimeToReachItsNextOne) {
  start_training();
  state_.progress.seconds_per_step = 90.0;
  seen_.terminations = 1;
  turn();
  ASSERT_EQ(state_.stage, Stage::saving);
  const Age asked = state_.entered_at;
  seen_.age = asked + 240s - 1ms;
  turn();
  EXPECT_FALSE(did("signal_trainer " + std::to_string(SIGKILL)));
  seen_.age = asked + 240s;
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGKILL)));
}

TEST_F(StateTest, PastTheHardDeadlineNothingIsWaitedFor) {
  start_training();
  seen_.age = 59min;
  turn();
  EXPECT_EQ(state_.stage, Stage::destroying);
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGKILL)));
  EXPECT_TRUE(did("ask_destroy"));
}

TEST_F(StateTest, DestroyingIsAskedForEverAndNeverMoreThanHalfAMinuteApart) {
  start_training();
  seen_.requests = {{RequestKind::down_now, "test", {}, "a.json"}};
  turn();
  ASSERT_EQ(state_.stage, Stage::destroying);
  Age last = 0s;
  int calls = 0;
  for (int i = 0; i < 4000; ++i) {
    if (did("ask_destroy")) {
      if (calls > 0) {
        EXPECT_LE(seen_.age - last, 31s);
      }
      last = seen_.age;
      ++calls;
    }
    seen_.destroy = DestroyAnswer{false, "401 from the provider"};
    if (i % 100 == 50) seen_.agent_started = true;  // kill -9 in between
    turn();
    ASSERT_EQ(state_.stage, Stage::destroying);
    ASSERT_FALSE(did("start_trainer"));
    ASSERT_FALSE(did("start_fetch"));
  }
  EXPECT_GE(calls, 130);
}

TEST_F(StateTest, AnAcceptedCallThatHadNoEffectIsRepeated) {
  start_training();
  seen_.requests = {{RequestKind::down_now, "test", {}, "a.json"}};
  turn();
  int calls = 0;
  for (int i = 0; i < 120; ++i) {
    if (did("ask_destroy")) {
      ++calls;
      seen_.destroy = DestroyAnswer{true, "accepted"};
    }
    if (did("look_at_instance")) seen_.instance = Result<InstanceState>(InstanceState::running);
    turn();
  }
  EXPECT_GE(calls, 3);
  EXPECT_FALSE(state_.gone);
}

TEST_F(StateTest, AListingThatCannotBeReadIsNotTakenForGone) {
  start_training();
  seen_.requests = {{RequestKind::down_now, "test", {}, "a.json"}};
  turn();
  seen_.destroy = DestroyAnswer{true, "accepted"};
  turn();
  seen_.instance = Result<InstanceState>(Error{ErrorKind::unreachable, "503"});
  turn();
  EXPECT_FALSE(state_.gone);
  seen_.instance = Result<InstanceState>(InstanceState::terminating);
  turn();
  EXPECT_FALSE(state_.gone);
  seen_.instance = Result<InstanceState>(Error{ErrorKind::not_found, "404"});
  turn();
  EXPECT_TRUE(state_.gone);
}

TEST_F(StateTest, ACrashedTrainerIsRestartedOnceForTheSameReason) {
  start_training();
  step_to(2);
  say(FailedEvent{"failed", "CUDA error", ""});
  seen_.trainer = {TrainerView::Kind::exited, 10};
  turn();
  EXPECT_TRUE(did("start_trainer"));
  seen_.trainer.kind = kRunning;
  say(StartedEvent{});
  turn();
  step_to(2);  // the same step again: no progress
  say(FailedEvent{"failed", "CUDA error", ""});
  seen_.trainer = {TrainerView::Kind::exited, 10};
  turn();
  EXPECT_FALSE(did("start_trainer"));
  EXPECT_EQ(state_.reason, StopReason::failed);
  EXPECT_EQ(state_.detail, "CUDA error");
}

TEST_F(StateTest, ATrainerThatTheKernelKilledForItsMemoryEndsAsOutOfMemory) {
  start_training();
  for (int crash = 0; crash < 2; ++crash) {
    step_to(2);
    seen_.trainer = {TrainerView::Kind::exited, 137, true};
    turn();
    EXPECT_EQ(did("start_trainer"), crash == 0);
    seen_.trainer.kind = kRunning;
    if (crash == 0) say(StartedEvent{});
    turn();
  }
  EXPECT_EQ(state_.reason, StopReason::failed);
  EXPECT_THAT(state_.detail, testing::HasSubstr("memory ran out"));
  EXPECT_EQ(ending_code(policy_, state_, {}), ExitCode::out_of_memory);
}

TEST_F(StateTest, ProgressBetweenTwoCrashesEarnsAnotherRestart) {
  start_training();
  for (std::int64_t step = 2; step < 8; ++step) {
    step_to(step);
    seen_.trainer = {TrainerView::Kind::exited, 137};
    turn();
    ASSERT_TRUE(did("start_trainer")) << step;
    seen_.trainer.kind = kRunning;
    say(StartedEvent{});
    turn();
  }
  EXPECT_EQ(state_.restarts, 6);
}

TEST_F(StateTest, DataThatCannotBeUsedIsNotTriedAgain) {
  start_training();
  say(FailedEvent{"bad_data", "line 3 is not JSON", ""});
  seen_.trainer = {TrainerView::Kind::exited, 13};
  turn();
  EXPECT_FALSE(did("start_trainer"));
  EXPECT_EQ(state_.reason, StopReason::failed);
  turn();
  EXPECT_TRUE(did("send_logs"));
  EXPECT_EQ(state_.exit_code, 13) << "the status that goes with the logs has it";
  safe("logs");
  turn();
  EXPECT_EQ(state_.exit_code, 13);
}

TEST_F(StateTest, AStalledTrainerIsKilledRestartedOnceAndThenGivenUp) {
  policy_.limit.limits.stall_minutes = 5;
  policy_.limit.limits.idle_minutes = 0;
  start_training();
  const Age last = state_.trainer_progress_at;
  seen_.age = last + 5min - 1s;
  turn();
  EXPECT_TRUE(actions_.empty());
  turn();
  EXPECT_EQ(actions_, std::vector{"signal_trainer " + std::to_string(SIGQUIT)});
  seen_.age = last + 5min + kStackTakes - 1ms;
  turn();
  EXPECT_TRUE(actions_.empty());
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGKILL)));
  seen_.trainer = {TrainerView::Kind::exited, 137};
  turn();
  EXPECT_TRUE(did("start_trainer"));
  seen_.trainer.kind = kRunning;
  say(StartedEvent{});
  turn();
  seen_.age += 5min;
  turn();
  seen_.age += kStackTakes;
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGKILL)));
  seen_.trainer = {TrainerView::Kind::exited, 137};
  turn();
  EXPECT_FALSE(did("start_trainer"));
  EXPECT_EQ(state_.reason, StopReason::stalled);
}

TEST_F(StateTest, NothingProgressingForTheIdleTimeEndsTheRun) {
  policy_.limit.limits.stall_minutes = 0;
  policy_.limit.limits.idle_minutes = 10;
  start_training();
  seen_.age = state_.progress_at + 10min;
  turn();
  EXPECT_EQ(state_.reason, StopReason::idle);
}

TEST_F(StateTest, ATrainerThatWasNeverStartedByTheLastLifeIsNoCrash) {
  pass_self_tests();
  turn();
  seen_.fetch.kind = FetchView::Kind::done;
  turn();  // decides to start it, and dies before it does
  seen_.agent_started = true;
  turn();
  EXPECT_TRUE(did("start_trainer"));
  EXPECT_EQ(state_.restarts, 0);
}

TEST_F(StateTest, ATokenThatIsRefusedEndsInExitCode18WithTheFilesKept) {
  start_training();
  finish_training();
  turn();
  ASSERT_TRUE(did("send_upload main"));
  seen_.uploads.push_back({"main", "", "", Error{ErrorKind::unauthorized, "401: bad token"}});
  turn();
  EXPECT_EQ(state_.uploads[0].state, Upload::State::failed);
  EXPECT_EQ(state_.uploads[0].message, "401: bad token");
  safe("logs");
  turn();
  EXPECT_EQ(state_.exit_code, 18);
  EXPECT_TRUE(did("ask_destroy"));
}

TEST_F(StateTest, ATransientFailureIsTriedAgainLaterAndLater) {
  start_training();
  finish_training();
  turn();
  std::vector<Age> sent;
  for (int i = 0; i < 200; ++i) {
    if (did("send_upload main")) {
      sent.push_back(seen_.age);
      seen_.uploads.push_back({"main", "", "", Error{ErrorKind::unreachable, "reset"}});
    }
    turn();
  }
  ASSERT_GE(sent.size(), 5U);
  EXPECT_LT(sent[1] - sent[0], sent[4] - sent[3]);
  EXPECT_LE(sent.back() - sent[sent.size() - 2], kUploadRetry + 2s);
}

TEST_F(StateTest, AHangingUploadIsGivenUpAtItsTimeOut) {
  policy_.limit.limits.upload_timeout = 100s;
  start_training();
  finish_training();
  const Age entered = state_.entered_at;
  while (state_.stage == Stage::uploading) turn();
  EXPECT_LE(seen_.age - entered, 103s);
  EXPECT_EQ(state_.stage, Stage::destroying);
  EXPECT_EQ(state_.exit_code, 18);
}

TEST_F(StateTest, OnCompleteKeepWaitsForDownButNotPastALimit) {
  policy_.limit.limits.on_complete = AtEnd::keep;
  policy_.has_hub = false;
  start_training();
  finish_training();
  turn();
  EXPECT_EQ(state_.stage, Stage::kept);
  seen_.age += 30min;
  turn();
  EXPECT_EQ(state_.stage, Stage::kept);
  seen_.age = 59min;
  turn();
  EXPECT_EQ(state_.stage, Stage::destroying);
  EXPECT_EQ(state_.exit_code, 0);
}

TEST_F(StateTest, AFailedRunIsKeptForItsGrace) {
  policy_.limit.limits.failure_grace_minutes = 10;
  policy_.has_hub = false;
  start_training();
  say(FailedEvent{"bad_data", "no", ""});
  seen_.trainer = {TrainerView::Kind::exited, 13};
  turn();
  turn();
  ASSERT_EQ(state_.stage, Stage::kept);
  const Age entered = state_.entered_at;
  seen_.age = entered + 10min - 1s;
  turn();
  EXPECT_EQ(state_.stage, Stage::kept);
  turn();
  EXPECT_EQ(state_.stage, Stage::destroying);
}

TEST_F(StateTest, FetchingThatFailsEndsTheRunWithItsReason) {
  pass_self_tests();
  turn();
  seen_.fetch.kind = FetchView::Kind::failed;
  seen_.fetch.error = Error{ErrorKind::not_found, "no such model"};
  turn();
  EXPECT_EQ(state_.reason, StopReason::failed);
  EXPECT_EQ(state_.detail, "no such model");
  turn();
  safe("logs");
  turn();
  EXPECT_EQ(state_.exit_code, 5);
}

TEST_F(StateTest, AnInstanceThatSomebodyElseIsEndingIsNotTrainedOn) {
  start_training();
  seen_.agent_started = true;
  seen_.instance = Result<InstanceState>(InstanceState::terminating);
  turn();
  EXPECT_EQ(state_.stage, Stage::destroying);
}

TEST_F(StateTest, AFreshInstanceThatIsNotListedYetIsNotGone) {
  seen_.agent_started = true;
  seen_.instance = Result<InstanceState>(Error{ErrorKind::not_found, "eventually"});
  turn();
  EXPECT_EQ(state_.stage, Stage::arming);
  EXPECT_FALSE(state_.gone);
}

}  // namespace
}  // namespace mayfly
