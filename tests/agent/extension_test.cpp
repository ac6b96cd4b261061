// A limit that can be raised for ever is none; one that is raised before the fuse is moved costs
// the work; one that counts twice after a crash costs money.
#include "agent/extension.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/state_json.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class ExtensionTest : public ::testing::Test {
 protected:
  ExtensionTest() {
    policy_.limit.price = {dollars(12), 1s};
    policy_.limit.limits.spend_limit = dollars(12);  // an hour
    policy_.limit.limits.ttl_hours = 2.0;
    policy_.limit.limits.reserve = 5min;
    policy_.limit.limits.idle_minutes = 0;
    policy_.limit.limits.stall_minutes = 0;
    policy_.limit.destroying_takes = 1min;
    state_.stage = Stage::training;
    state_.trainer_wanted = true;
    state_.trainer_seen = true;
  }

  static Request asking(const std::string& file, double minutes, Usd spend) {
    return {RequestKind::extend, "launch extend", {}, file, minutes, spend};
  }
  Extension allowed(double minutes, Usd spend) const {
    return allowed_extension(policy_, state_, asking("a.json", minutes, spend));
  }
  // One turn; the requests wait until they are closed.
  std::vector<std::string> turn(const std::vector<Request>& requests,
                                std::optional<Status> fuse_moved = {}, bool restarted = false) {
    Observation seen;
    seen.age = age_ += 1s;
    seen.agent_started = restarted;
    seen.trainer.kind = TrainerView::Kind::running;
    seen.requests = requests;
    seen.fuse_moved = std::move(fuse_moved);
    Step step = advance(policy_, state_, seen);
    state_ = std::move(step.state);
    std::vector<std::string> texts;
    for (const Action& action : step.actions) texts.push_back(action_text(action));
    return texts;
  }

  AgentPolicy policy_;
  AgentState state_;
  Age age_{};
};

TEST_F(ExtensionTest, AddsWhatWasAskedFor) {
  const Extension granted = allowed(30, dollars(5));
  EXPECT_EQ(granted.refused, "");
  EXPECT_EQ(granted.spend, dollars(5));
  EXPECT_EQ(granted.time, 30min);
  state_.extra_spend = granted.spend;
  state_.extra_time = granted.time;
  EXPECT_EQ(limits_now(policy_, state_).limits.spend_limit, dollars(17));
  EXPECT_DOUBLE_EQ(*limits_now(policy_, state_).limits.ttl_hours, 2.5);
}

TEST_F(ExtensionTest, ALimitAtMostDoublesHoweverOftenSomebodyAsks) {
  EXPECT_EQ(allowed(0, dollars(1000)).spend, dollars(12));
  EXPECT_EQ(allowed(1e300, {}).time, 2h);
  state_.extra_spend = dollars(8);
  EXPECT_EQ(allowed(0, dollars(5)).spend, dollars(4));
  state_.extra_spend = dollars(12);
  EXPECT_NE(allowed(0, dollars(5)).refused, "");
}

TEST_F(ExtensionTest, WhatIsNotPositiveIsRefused) {
  EXPECT_NE(allowed(0, {}).refused, "");
  EXPECT_NE(allowed(-1, {}).refused, "");
  EXPECT_NE(allowed(-1, dollars(5)).refused, "");
  EXPECT_NE(allowed(30, dollars(-5)).refused, "");
  EXPECT_NE(allowed(std::numeric_limits<double>::infinity(), {}).refused, "");
  EXPECT_NE(allowed(std::numeric_limits<double>::quiet_NaN(), {}).refused, "");
}

TEST_F(ExtensionTest, MinutesNeedATimeLimitToAddTo) {
  policy_.limit.limits.ttl_hours.reset();
  EXPECT_EQ(allowed(30, {}).refused, "the run has no time limit");
  EXPECT_EQ(allowed(0, dollars(1)).refused, "");
}

TEST_F(ExtensionTest, NothingIsRaisedOnceTheRunHasBegunToStop) {
  state_.reason = StopReason::spend_limit;
  EXPECT_EQ(allowed(30, dollars(5)).refused, "the run is ending already");
}

TEST_F(ExtensionTest, TheLimitsRiseOnlyWhenTheFuseHasBeenMoved) {
  const std::vector<Request> waiting = {asking("a.json", 0, dollars(6))};
  // $18 are 90 minutes, less the minute that destroying takes.
  EXPECT_EQ(turn(waiting), std::vector<std::string>{"move_fuse 5340000"});
  EXPECT_EQ(turn(waiting), std::vector<std::string>{});  // under way
  EXPECT_EQ(state_.extra_spend, Usd{});
  EXPECT_EQ(turn(waiting, Status(Unit{})), std::vector<std::string>{"close_request a.json"});
  EXPECT_EQ(state_.extra_spend, dollars(6));
  age_ = 1h;
  turn({});
  EXPECT_EQ(state_.stage, Stage::training);
  age_ = 90min - 1min - 5min;
  turn({});
  EXPECT_EQ(state_.reason, StopReason::spend_limit);
}

TEST_F(ExtensionTest, AFuseThatCannotBeMovedKeepsTheLimits) {
  const std::vector<Request> waiting = {asking("a.json", 0, dollars(6))};
  turn(waiting);
  EXPECT_EQ(turn(waiting, Status(Error{ErrorKind::refused, "no fuse"})),
            std::vector<std::string>{"close_request a.json"});
  EXPECT_EQ(state_.extra_spend, Usd{});
  EXPECT_EQ(state_.warnings.back(), "limits not raised: no fuse");
}

TEST_F(ExtensionTest, ARequestThatIsSeenAgainAfterACrashCountsOnce) {
  const std::vector<Request> waiting = {asking("a.json", 0, dollars(6))};
  turn(waiting);
  // Killed before the answer: the next life asks again.
  EXPECT_EQ(turn(waiting, {}, true), std::vector<std::string>{"move_fuse 5340000"});
  turn(waiting, Status(Unit{}));
  // Killed before the request was closed.
  EXPECT_EQ(turn(waiting, {}, true), std::vector<std::string>{"close_request a.json"});
  EXPECT_EQ(state_.extra_spend, dollars(6));
}

TEST_F(ExtensionTest, WhatWasGrantedSurvivesARestart) {
  const std::vector<Request> waiting = {asking("a.json", 45, dollars(6))};
  turn(waiting);
  turn(waiting, Status(Unit{}));
  const auto read = memory_from_json(memory_to_json({"run", {"boot", {}, age_}, state_}));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->state.extra_spend, dollars(6));
  EXPECT_EQ(read->state.extra_time, 45min);
  EXPECT_EQ(read->state.extensions, std::vector<std::string>{"a.json"});
}

}  // namespace
}  // namespace mayfly
