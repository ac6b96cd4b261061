// A replay that finds nothing although decisions changed would be worse than none.
#include "agent/replay.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "agent/decision_record.h"
#include "agent/journal.h"
#include "core/json.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

// A small run, as the loop would record it.
class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() {
    policy_.limit.price = {dollars(12), 1s};
    policy_.limit.limits.spend_limit = dollars(12);
    policy_.limit.destroying_takes = 1min;
    policy_.has_hub = true;
    record(begin_record(policy_, "1.0", {}, 0ms));
  }

  void record(const std::string& object) {
    journal_ += sealed_line(object) + "\n";
  }
  void turn() {
    seen_.now = WallTime(seen_.age);
    Step step = advance(policy_, state_, seen_);
    record(decision_record(state_, seen_, step));
    state_ = std::move(step.state);
    const auto trainer = seen_.trainer;
    const auto fetch = seen_.fetch;
    const auto self_tests = seen_.self_tests;
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
  // Something of every kind that can be seen.
  void run() {
    seen_.agent_started = true;
    seen_.instance = Result<InstanceState>(InstanceState::running);
    turn();
    seen_.self_tests = {SelfTestView::Kind::done, {{"destroy", {}}, {"hub", {}}}};
    turn();
    seen_.fetch = {FetchView::Kind::done, 77, {}};
    turn();
    seen_.trainer.kind = TrainerView::Kind::running;
    say(StartedEvent{"1", "hash", "sft", "cpu", 0});
    StepEvent step;
    step.step = 3;
    step.loss = 0.1 + 0.2;  // a number that must not be rounded
    say(step);
    say(CheckpointEvent{4, 1.0, 1, "checkpoints/checkpoint-4", 10});
    turn();
    seen_.uploads.push_back({"checkpoint-epoch-1", "", "", Error{ErrorKind::unreachable, "503"}});
    seen_.requests = {{RequestKind::extend, "me", WallTime(5s), "a.json", 0, dollars(3)}};
    turn();
    seen_.requests = {{RequestKind::extend, "me", WallTime(5s), "a.json", 0, dollars(3)}};
    seen_.fuse_moved = Status(Unit{});
    turn();
    seen_.terminations = 1;
    turn();
    seen_.trainer = {TrainerView::Kind::exited, 0};
    seen_.newest_checkpoint = NewestCheckpoint{"checkpoints/checkpoint-6", 6};
    for (int i = 0; i < 3; ++i) turn();
    for (const char* label : {"checkpoint-epoch-1", "stopped-step-6", "logs"}) {
      seen_.uploads.push_back({label, "c0ffee", "abc", {}});
      turn();
    }
    seen_.destroy = DestroyAnswer{true, "accepted"};
    turn();
    seen_.instance = Result<InstanceState>(Error{ErrorKind::not_found, "404"});
    turn();
    ASSERT_TRUE(state_.gone);
  }

  AgentPolicy policy_;
  AgentState state_;
  Observation seen_;
  std::int64_t next_seq_ = 0;
  std::string journal_;
};

TEST_F(ReplayTest, ARunDecidesTheSameAgain) {
  run();
  const Result<ReplayReport> report = replay(journal_);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->difference) << report->difference->recorded << "\n"
                                   << report->difference->now;
  EXPECT_EQ(report->decisions, 15);
  EXPECT_EQ(report->lives, 1);
  EXPECT_EQ(replay_text(*report), "15 decisions of 1 life: all the same\n");
}

// Every member of the observation and of the state must be in the record: take one decision, change
// one line of what was seen, and the replay must notice at that line.
TEST_F(ReplayTest, WhatIsRecordedOtherwiseIsFoundAtItsLine) {
  run();
  std::string changed;
  int number = 0;
  for (const std::string& line : read_journal(journal_).lines) {
    ++number;
    nlohmann::json record = *parse_json(line, "line");
    record.erase("length");
    record.erase("crc32c");
    if (number == 9)
      record["seen"]["trainer"].update({{"kind", 1}, {"code", nullptr}});  // still runs
    changed += sealed_line(json_line(record)) + "\n";
  }
  const Result<ReplayReport> report = replay(changed);
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_TRUE(report->difference);
  EXPECT_EQ(report->difference->line, 9);
  EXPECT_NE(replay_text(*report).find("line 9 differs"), std::string::npos);
}

TEST_F(ReplayTest, ADecisionThatWasAnotherIsFound) {
  run();
  std::string changed;
  for (const std::string& line : read_journal(journal_).lines) {
    nlohmann::json record = *parse_json(line, "line");
    record.erase("length");
    record.erase("crc32c");
    if (record.contains("actions") && !record["actions"].empty() &&
        record["actions"][0] == "start_trainer") {
      record["actions"].push_back("start_trainer");
    }
    changed += sealed_line(json_line(record)) + "\n";
  }
  const Result<ReplayReport> report = replay(changed);
  ASSERT_TRUE(report);
  ASSERT_TRUE(report->difference);
  EXPECT_EQ(report->difference->line, 4);
}

TEST_F(ReplayTest, DamagedLinesAreCountedAndLeftOut) {
  run();
  journal_[journal_.find('\n') + 20] ^= 1;
  journal_ += "{\"torn";
  const Result<ReplayReport> report = replay(journal_);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->damaged, 1);
  EXPECT_EQ(report->decisions, 14);
  EXPECT_FALSE(report->difference);
}

TEST_F(ReplayTest, ATextWithoutDecisionsIsAnError) {
  EXPECT_FALSE(replay(""));
  EXPECT_FALSE(replay("hello\n"));
  EXPECT_FALSE(replay(journal_));  // only the beginning
}

}  // namespace
}  // namespace mayfly
