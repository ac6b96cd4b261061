// What the agent writes, `status` must read, also a later version of either.
#include "core/run/run_status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/fakes/fake_clock.h"

namespace mayfly {
namespace {

RunStatus full_status() {
  RunStatus status;
  status.run_id = "0123456789ab";
  status.name = "my-run";
  status.updated_at = FakeClock::kBegin;
  status.phase = "sft";
  status.state = "training";
  status.stage = "steps";
  status.epoch = 1.25;
  status.epochs = 3;
  status.step = 40;
  status.total_steps = 96;
  status.loss = 1.4821934700012207;
  status.held_out_loss = 1.5;
  status.held_out_loss_before = 2.5;
  status.tokens_per_second = 310.5;
  status.eta_seconds = 99.5;
  status.trainer_restarts = 1;
  status.provider = "local";
  status.instance_id = "local-1";
  status.instance_state = "running";
  status.created_at = FakeClock::kBegin;
  status.spent = cents(123);
  status.rate_per_hour = dollars(12);
  status.limit = dollars(150);
  status.to_finish = cents(45);
  status.hub_repo = "local/my-run";
  status.uploads = {{.label = "checkpoint-epoch-1",
                     .state = "safe",
                     .step = 32,
                     .commit = "c0ffee",
                     .message = "",
                     .at = FakeClock::kBegin}};
  status.guards = {{.name = "idle", .limit = 1800, .unit = "seconds", .left_seconds = 1790.0}};
  status.warnings = {"3 rows were cut off"};
  return status;
}

TEST(RunStatusTest, ReadsBackWhatWasWritten) {
  const RunStatus status = full_status();
  const auto read = status_from_json(status_to_json(status));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json_line(status_to_json(*read)), json_line(status_to_json(status)));
  EXPECT_EQ(read->loss, status.loss);
  EXPECT_EQ(read->spent, status.spent);
  EXPECT_EQ(read->to_finish, status.to_finish);
  ASSERT_EQ(read->uploads.size(), 1U);
  EXPECT_EQ(read->uploads[0].at, status.uploads[0].at);
  ASSERT_EQ(read->guards.size(), 1U);
  EXPECT_EQ(read->guards[0].left_seconds, 1790.0);
}

TEST(RunStatusTest, WhatIsNotKnownYetIsNullAndStaysUnknown) {
  RunStatus status = full_status();
  status.loss.reset();
  status.eta_seconds.reset();
  status.to_finish.reset();
  status.exit_code.reset();
  const nlohmann::json json = status_to_json(status);
  EXPECT_TRUE(json["loss"].is_null());
  const auto read = status_from_json(json);
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->loss);
  EXPECT_FALSE(read->eta_seconds);
  EXPECT_FALSE(read->to_finish);
  EXPECT_FALSE(read->exit_code);
}

TEST(RunStatusTest, UnknownKeysAreIgnoredAndOtherSchemasRefused) {
  nlohmann::json json = status_to_json(full_status());
  json["from_the_future"] = {1, 2, 3};
  EXPECT_TRUE(status_from_json(json));
  json["schema"] = "mayfly.status/2";
  EXPECT_FALSE(status_from_json(json));
  EXPECT_FALSE(status_from_json(nlohmann::json::array()));
}

TEST(RunStatusTest, AWrongTypeIsAnErrorAndNoCrash) {
  for (const char* key : {"step", "uploads", "spend", "instance", "warnings", "guards"}) {
    nlohmann::json json = status_to_json(full_status());
    json[key] = "text";
    const auto read = status_from_json(json);
    ASSERT_FALSE(read) << key;
    EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
  }
}

}  // namespace
}  // namespace mayfly
