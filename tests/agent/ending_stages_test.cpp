// The decisions around an end that comes too early: self-tests, a second sink, the rescue budget, a
// machine that the provider takes away. What could go wrong: paying for training that can never be
// saved, giving an adapter up while there is money and a place for it, spending the last two
// minutes on the wrong thing.
#include <algorithm>
#include <csignal>

#include <gtest/gtest.h>

#include "agent/extension.h"
#include "agent/state.h"
#include "core/exit_code.h"
#include "core/run/rescue_budget.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class EndingStagesTest : public ::testing::Test {
 protected:
  EndingStagesTest() {
    policy_.limit.price = {dollars(12), 1s};
    policy_.limit.limits.spend_limit = dollars(12);  // an hour
    policy_.limit.limits.reserve = 5min;
    policy_.limit.limits.idle_minutes = 0;
    policy_.limit.limits.stall_minutes = 0;
    policy_.limit.destroying_takes = 1min;
    policy_.has_hub = true;
    policy_.status_every = 24h;
  }

  // One turn a second; returns what is done.
  std::vector<std::string> turn() {
    seen_.now = WallTime(seen_.age);
    Step step = advance(policy_, state_, seen_);
    state_ = std::move(step.state);
    Observation next;
    next.trainer = seen_.trainer;
    next.fetch = seen_.fetch;
    next.self_tests = seen_.self_tests;
    next.newest_checkpoint = seen_.newest_checkpoint;
    next.age = seen_.age + 1s;
    seen_ = std::move(next);
    actions_.clear();
    for (const Action& action : step.actions) actions_.push_back(action_text(action));
    return actions_;
  }
  bool did(const std::string& action) const {
    return std::find(actions_.begin(), actions_.end(), action) != actions_.end();
  }
  void answer(const std::string& label, int sink, std::optional<Error> error = {}) {
    UploadResult result;
    result.label = label;
    result.sink = sink;
    result.commit = "c0ffee";
    result.error = std::move(error);
    seen_.uploads.push_back(result);
  }
  void tests_end(std::vector<SelfTest> results) {
    seen_.self_tests = {SelfTestView::Kind::done, std::move(results)};
  }

  void train() {
    state_.stage = Stage::training;
    state_.trainer_wanted = true;
    state_.trainer_seen = true;
    seen_.trainer.kind = TrainerView::Kind::running;
  }
  // Done training at `age`, with main on its way.
  void finish(Age age) {
    train();
    state_.finished = true;
    seen_.trainer = {TrainerView::Kind::exited, 0};
    seen_.age = age;
    turn();
    turn();
    ASSERT_TRUE(did("send_upload main"));
  }

  AgentPolicy policy_;
  AgentState state_;
  Observation seen_;
  std::vector<std::string> actions_;
};

const Error kUnreachable{ErrorKind::unreachable, "503"};
const Error kUnauthorized{ErrorKind::unauthorized, "401"};

// ---- self-tests ----

TEST_F(EndingStagesTest, NothingIsFetchedBeforeTheSelfTestsPass) {
  EXPECT_EQ(turn(), std::vector<std::string>{"start_self_tests"});
  seen_.self_tests.kind = SelfTestView::Kind::running;
  EXPECT_EQ(turn(), std::vector<std::string>{});
  tests_end({{"destroy", {}}, {"hub", {}}});
  EXPECT_EQ(turn(), std::vector<std::string>{"start_fetch"});
}

TEST_F(EndingStagesTest, ATestThatCannotPassEndsTheRunWithItsCode) {
  turn();
  tests_end({{"destroy", {}}, {"hub", kUnauthorized}});
  turn();
  EXPECT_EQ(state_.reason, StopReason::failed);
  EXPECT_EQ(state_.detail, "self-test \"hub\": 401");
  for (int i = 0; i < 200 && !is_ending(state_.stage); ++i) turn();
  EXPECT_EQ(state_.exit_code, 6);
  EXPECT_EQ(state_.stage, Stage::destroying);
}

TEST_F(EndingStagesTest, ATestThatMayPassIsTriedForTenMinutes) {
  int tries = 0;
  while (state_.stage == Stage::arming) {
    for (const std::string& action : turn()) tries += action == "start_self_tests" ? 1 : 0;
    tests_end({{"destroy", kUnreachable}});
    ASSERT_LE(seen_.age, 10min + 2s);
  }
  EXPECT_GE(seen_.age, 10min);
  EXPECT_GT(tries, 30);
  EXPECT_EQ(state_.detail, "self-test \"destroy\": 503");
}

TEST_F(EndingStagesTest, TestsThatNeverEndAreGivenUpToo) {
  while (state_.stage == Stage::arming) {
    turn();
    seen_.self_tests.kind = SelfTestView::Kind::running;
    ASSERT_LE(seen_.age, 10min + 2s);
  }
  EXPECT_EQ(state_.reason, StopReason::failed);
}

TEST_F(EndingStagesTest, AHubThatIsDownIsNoReasonToEndWhereTheDiskStays) {
  policy_.keeps_disk = true;
  turn();
  tests_end({{"hub", kUnreachable}});
  EXPECT_EQ(turn(), std::vector<std::string>{"start_fetch"});
  EXPECT_FALSE(state_.warnings.empty());
}

TEST_F(EndingStagesTest, AHubThatDoesNotAnswerIsWaitedForOnlyWhereItIsNeeded) {
  turn();
  seen_.self_tests = {SelfTestView::Kind::running, {{"destroy", {}}, {"disk", {}}}};
  while (seen_.age < 20s) turn();
  EXPECT_EQ(state_.stage, Stage::arming);
  policy_.keeps_disk = true;
  EXPECT_EQ(turn(), std::vector<std::string>{"start_fetch"});
}

TEST_F(EndingStagesTest, AHubThatRefusesIsNoReasonToEndWhereThereIsAnotherSink) {
  policy_.sinks = 2;
  turn();
  tests_end({{"hub", kUnauthorized}});
  EXPECT_EQ(turn(), std::vector<std::string>{"start_fetch"});
}

// ---- sinks and money ----

TEST_F(EndingStagesTest, WhatTheFirstSinkRefusesGoesToTheNextAtOnce) {
  policy_.sinks = 2;
  finish(10min);
  answer("main", 0, kUnauthorized);
  turn();
  EXPECT_TRUE(did("send_upload main to sink 1"));
  answer("main", 0, kUnreachable);  // late, and of no interest
  turn();
  EXPECT_EQ(state_.uploads[0].state, Upload::State::sending);
  answer("main", 1);
  turn();
  EXPECT_EQ(state_.uploads[0].state, Upload::State::safe);
  EXPECT_EQ(state_.uploads[0].sink, 1);
  answer("logs", 0);
  turn();
  EXPECT_EQ(state_.exit_code, 0);
}

// Found by the simulation: it ended with code 0.
TEST_F(EndingStagesTest, AnAdapterThatWasNeverSentIsNoSuccess) {
  train();
  state_.finished = true;
  seen_.trainer = {TrainerView::Kind::exited, 0};
  turn();
  ASSERT_EQ(state_.reason, StopReason::finished);
  seen_.requests = {{RequestKind::down_now, "test", {}, "a.json"}};
  turn();
  EXPECT_EQ(state_.stage, Stage::destroying);
  EXPECT_EQ(state_.exit_code, 18);
}

// Found by the simulation: an instance destroyed within its first minute was said to be gone.
TEST_F(EndingStagesTest, AnInstanceThatWasNeverListedIsNotGoneBecauseItIsNotListed) {
  seen_.requests = {{RequestKind::down_now, "test", {}, "a.json"}};
  turn();
  seen_.destroy = DestroyAnswer{true, "accepted"};
  turn();
  const Result<InstanceState> unlisted(Error{ErrorKind::not_found, "404"});
  seen_.instance = unlisted;
  turn();
  EXPECT_FALSE(state_.gone);
  // An age that a wrong clock made is not believed alone: it takes two minutes of looks.
  seen_.age = 5min;
  for (int look = 2; look <= kUnlistedLooks; ++look) {
    EXPECT_FALSE(state_.gone) << look;
    seen_.instance = unlisted;
    turn();
  }
  EXPECT_TRUE(state_.gone);
}

TEST_F(EndingStagesTest, WhatTheLastSinkRefusesHasFailed) {
  policy_.sinks = 2;
  finish(10min);
  answer("main", 0, kUnauthorized);
  turn();
  answer("main", 1, kUnauthorized);
  turn();
  EXPECT_EQ(state_.uploads[0].state, Upload::State::failed);
}

// Found by the simulation: after tries that met no hub, one wrong listing gave a checkpoint up.
TEST_F(EndingStagesTest, OnlyWrongListingsCountAsWrong) {
  constexpr int kGivenUpAfter = 5;
  const Error away{ErrorKind::unreachable, "503"};
  const Error wrong{ErrorKind::corrupt, "size differs"};
  finish(10min);
  const auto next_try_meets = [&](const Error& error) {
    for (int i = 0; i < 70 && state_.uploads[0].state == Upload::State::waiting; ++i) turn();
    ASSERT_EQ(state_.uploads[0].state, Upload::State::sending);
    answer("main", 0, error);
    turn();
  };
  for (int i = 0; i < kGivenUpAfter + 1; ++i) next_try_meets(away);
  for (int i = 1; i < kGivenUpAfter; ++i) next_try_meets(wrong);
  EXPECT_NE(state_.uploads[0].state, Upload::State::failed);
  next_try_meets(wrong);
  EXPECT_EQ(state_.uploads[0].state, Upload::State::failed);
}

TEST_F(EndingStagesTest, ASinkThatDoesNotAnswerInTimeIsLeftForTheNext) {
  policy_.sinks = 2;
  policy_.limit.limits.upload_timeout = 100s;
  finish(10min);
  const Age entered = state_.entered_at;
  while (!did("send_upload main to sink 1")) {
    turn();
    ASSERT_LE(seen_.age, entered + 103s);
  }
  // The late success of the first sink is a success.
  answer("main", 0);
  turn();
  EXPECT_EQ(state_.uploads[0].state, Upload::State::safe);
  EXPECT_EQ(state_.uploads[0].sink, 0);
}

TEST_F(EndingStagesTest, TheRescueBudgetIsSpentOnlyOnWhatIsNotSafe) {
  // $0.60, the twentieth of $12: three minutes before 59 min, when it must be destroyed.
  EXPECT_EQ(rescue_budget(policy_.limit.limits, policy_.limit.price), cents(60));
  finish(55min);
  answer("main", 0, kUnreachable);
  while (seen_.age < 56min + 30s) turn();
  EXPECT_EQ(state_.stage, Stage::uploading);  // beyond the reserve, and still trying
  while (!is_ending(state_.stage)) turn();
  EXPECT_GE(seen_.age, 59min);
  EXPECT_LE(seen_.age, 59min + 2s);
  EXPECT_EQ(state_.exit_code, 18);
}

TEST_F(EndingStagesTest, WhatIsSafeSpendsNothingOfIt) {
  finish(55min);
  answer("main", 0);
  turn();
  answer("logs", 0);
  turn();
  EXPECT_EQ(state_.stage, Stage::destroying);
  EXPECT_LT(seen_.age, 56min);
}

TEST_F(EndingStagesTest, AnUploadThatTookLongMakesTheReserveLarger) {
  EXPECT_EQ(limits_now(policy_, state_).limits.reserve, 300s);
  state_.upload_takes = 40s;  // three times that and half of the plan's: less than the plan's
  EXPECT_EQ(limits_now(policy_, state_).limits.reserve, 300s);
  state_.upload_takes = 100s;
  EXPECT_EQ(limits_now(policy_, state_).limits.reserve, 450s);
}

TEST_F(EndingStagesTest, TheTimeOfAnUploadIsMeasuredFromItsFirstTry) {
  train();
  seen_.events.push_back({0, {}, CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10}});
  turn();
  ASSERT_TRUE(did("send_upload checkpoint-epoch-1"));
  answer("checkpoint-epoch-1", 0, kUnreachable);
  turn();
  seen_.age = 30s;
  answer("checkpoint-epoch-1", 0);
  turn();
  EXPECT_EQ(state_.upload_takes, 30s);
}

TEST_F(EndingStagesTest, AnAdapterThatIsNotFiniteIsKeptAndSaid) {
  finish(10min);
  UploadResult result;
  result.label = "main";
  result.flag = "it holds numbers that are not finite";
  seen_.uploads.push_back(result);
  turn();
  EXPECT_EQ(state_.uploads[0].state, Upload::State::safe);
  EXPECT_EQ(state_.warnings.back(), "main: it holds numbers that are not finite");
  answer("logs", 0);
  for (int i = 0; i < 5 && !state_.exit_code; ++i) turn();
  EXPECT_EQ(state_.exit_code, static_cast<int>(ExitCode::diverged)) << "no good end";
}

TEST_F(EndingStagesTest, ABrokenCheckpointBesideAGoodAdapterIsAWarningOnly) {
  finish(10min);
  Upload broken;
  broken.label = "checkpoint-epoch-1";
  broken.state = Upload::State::safe;
  broken.flag = "it holds numbers that are not finite";
  state_.uploads.push_back(broken);
  answer("main", 0);
  turn();
  answer("logs", 0);
  for (int i = 0; i < 5 && !state_.exit_code; ++i) turn();
  EXPECT_EQ(state_.exit_code, 0);
}

// ---- a machine that is taken away ----

TEST_F(EndingStagesTest, ANoticeStopsTheTrainerAndUploadsWhatItSaved) {
  train();
  seen_.age = 20min;
  seen_.reclaim_notice = true;
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGTERM)));
  EXPECT_EQ(state_.reason, StopReason::reclaimed);
  seen_.age = 20min + 20s;
  seen_.trainer = {TrainerView::Kind::exited, 0};
  seen_.newest_checkpoint = NewestCheckpoint{"checkpoints/checkpoint-7", 7};
  turn();
  turn();
  EXPECT_TRUE(did("send_upload stopped-step-7"));
  answer("stopped-step-7", 0);
  turn();
  EXPECT_TRUE(did("send_logs"));
  answer("logs", 0);
  turn();
  EXPECT_TRUE(did("ask_destroy"));
  EXPECT_EQ(state_.exit_code, 17);
}

TEST_F(EndingStagesTest, ATrainerThatDoesNotSaveIn25SecondsIsNotWaitedFor) {
  train();
  state_.progress.seconds_per_step = 90.0;  // in peace it would be given four minutes
  seen_.age = 20min;
  seen_.reclaim_notice = true;
  turn();
  seen_.age = 20min + 25s - 1ms;
  turn();
  EXPECT_FALSE(did("signal_trainer " + std::to_string(SIGKILL)));
  turn();
  EXPECT_TRUE(did("signal_trainer " + std::to_string(SIGKILL)));
}

TEST_F(EndingStagesTest, After100SecondsItIsDestroyedWhateverIsUnsaved) {
  train();
  seen_.age = 20min;
  seen_.reclaim_notice = true;
  turn();
  seen_.trainer = {TrainerView::Kind::exited, 0};
  seen_.newest_checkpoint = NewestCheckpoint{"checkpoints/checkpoint-7", 7};
  while (!is_ending(state_.stage)) turn();
  EXPECT_GE(seen_.age, 20min + 100s);
  EXPECT_LE(seen_.age, 20min + 102s);
  EXPECT_EQ(state_.exit_code, 18);
}

TEST_F(EndingStagesTest, ANoticeWhileUploadingHurriesTheAdapter) {
  train();
  seen_.events.push_back({0, {}, CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10}});
  turn();
  state_.finished = true;
  seen_.trainer = {TrainerView::Kind::exited, 0};
  turn();
  turn();
  EXPECT_FALSE(did("send_upload main"));  // after the checkpoint
  seen_.reclaim_notice = true;
  turn();
  EXPECT_TRUE(did("send_upload main"));
  EXPECT_EQ(state_.reason, StopReason::finished);
}

}  // namespace
}  // namespace mayfly
