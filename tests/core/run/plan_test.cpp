// The plan is the contract between laptop, agent and trainer. Guarded here: that reading gives what
// was written, and that a plan with anything wrong in it is refused and not half used.
#include "core/run/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "tests/core/config/random_config.h"
#include "tests/core/config/text_file.h"

namespace mayfly {
namespace {

using testing::HasSubstr;

RunPlan sample() {
  RunPlan plan;
  plan.run_id = "0123456789ab";
  plan.run_name = "m-d-128-run1";
  plan.created_at = WallTime(std::chrono::milliseconds(1'795'356'131'482));
  plan.seed = 23;
  plan.config = RandomConfig(5).next();
  plan.run_dir = "/run";
  plan.model_dir = "/models/m";
  plan.offer = {.provider = "local",
                .instance_type = "this",
                .region = "here",
                .gpu = "",
                .gpu_count = 0,
                .price = {.per_hour = Usd{12'000'001}, .billing_step = std::chrono::seconds(60)}};
  plan.programs = {{"agent", "file:///a", "aa"}, {"train", "file:///t", "bb"}};
  plan.runtime = {{"torch 2.11.0", "https://x/t.whl", "cc", 10, {{"torch/lib/libc10.so", 3}}},
                  {"none", "https://x/n.whl", "dd", 0, {}}};
  plan.resume = {"me/a", "0123abcd", "checkpoint-epoch-2", 40};
  plan.hub_endpoint = "http://127.0.0.1:1";
  plan.hub_repo = "local/m";
  plan.estimate = {.examples = 128,
                   .tokens = 1'000'000'000'000,
                   .steps = 64,
                   .seconds = 0.1,
                   .cost = Usd{1},
                   .basis = "measured"};
  return plan;
}

TEST(PlanTest, ReadsBackWhatItWrites) {
  const nlohmann::json written = plan_to_json(sample());
  const auto parsed = parse_json(json_text(written), "plan.json");
  ASSERT_TRUE(parsed);
  const Result<RunPlan> plan = plan_from_json(*parsed);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan_to_json(*plan), written);
  EXPECT_EQ(plan->created_at, sample().created_at);
  EXPECT_EQ(plan->offer.price.per_hour, sample().offer.price.per_hour);
  EXPECT_EQ(plan->offer.price.billing_step, std::chrono::seconds(60));
  EXPECT_EQ(plan->programs.at(1).url, "file:///t");
  EXPECT_EQ(plan->estimate.seconds, 0.1);
  EXPECT_EQ(plan_hash(*plan), plan_hash(sample()));
}

TEST(PlanTest, HashesEveryPart) {
  const std::string hash = plan_hash(sample());
  EXPECT_EQ(hash.size(), 64u);
  RunPlan other = sample();
  other.config.lora.r += 1;
  EXPECT_NE(plan_hash(other), hash);
  other = sample();
  other.programs[0].sha256 = "cc";
  EXPECT_NE(plan_hash(other), hash);
  other = sample();
  other.runtime[0].files[0].bytes += 1;
  EXPECT_NE(plan_hash(other), hash);
}

TEST(PlanTest, HoldsNoSecret) {
  RunPlan plan = sample();
  plan.config.hub.token = Secret("hf_secret");
  EXPECT_EQ(json_line(plan_to_json(plan)).find("hf_secret"), std::string::npos);
}

// Every member, one at a time: left out, and of another type.
TEST(PlanTest, RefusesWhatIsMissingOrOfAnotherType) {
  const nlohmann::json whole = plan_to_json(sample());
  for (const auto& [key, value] : whole.items()) {
    nlohmann::json broken = whole;
    broken.erase(key);
    auto plan = plan_from_json(broken);
    ASSERT_FALSE(plan) << key;
    EXPECT_EQ(plan.error().kind, ErrorKind::corrupt);
    EXPECT_THAT(plan.error().message, HasSubstr(key));
    broken[key] = true;
    plan = plan_from_json(broken);
    ASSERT_FALSE(plan) << key;
    EXPECT_THAT(plan.error().message, HasSubstr(key));
  }
}

TEST(PlanTest, RefusesWrongValuesByTheirPath) {
  const auto message = [](auto&& edit) {
    nlohmann::json json = plan_to_json(sample());
    edit(json);
    const auto plan = plan_from_json(json);
    return plan ? std::string("accepted") : plan.error().message;
  };
  EXPECT_EQ(message([](auto& json) { json["offer"]["billing_step_seconds"] = 0; }),
            "plan: offer.billing_step_seconds is out of range");
  EXPECT_EQ(message([](auto& json) { json["offer"]["gpu_count"] = -1; }),
            "plan: offer.gpu_count is out of range");
  EXPECT_EQ(message([](auto& json) { json["offer"]["usd_per_hour"] = "-1"; }),
            "plan: offer.usd_per_hour must be an amount such as \"12.50\"");
  EXPECT_EQ(message([](auto& json) { json["seed"] = 1.5; }), "plan: seed must be a whole number");
  EXPECT_EQ(message([](auto& json) { json["seed"] = 18446744073709551615u; }),
            "plan: seed must be a whole number");
  EXPECT_EQ(message([](auto& json) { json["format"] = 2; }),
            "plan: format is not 1: written by another version");
  EXPECT_EQ(message([](auto& json) { json["surprise"] = 1; }), "plan: surprise is not known");
  EXPECT_EQ(message([](auto& json) { json["programs"][1].erase("url"); }),
            "plan: programs[1].url is missing");
  EXPECT_EQ(message([](auto& json) { json["config"]["lora"]["r"] = 0; }),
            "plan: config.lora.r: must be at least 1, not 0");
  EXPECT_THAT(message([](auto& json) { json["created_at"] = "yesterday"; }),
              HasSubstr("plan: created_at must be a time"));
  EXPECT_FALSE(plan_from_json(nlohmann::json::array()));
}

TEST(PlanTest, ReadsFilesAndNamesThemInErrors) {
  const TestFolder folder;
  const std::string good = folder.write("plan.json", json_text(plan_to_json(sample())));
  ASSERT_TRUE(read_plan(good));
  EXPECT_EQ(read_plan(good)->run_id, "0123456789ab");
  const std::string broken = folder.write("broken.json", "{\"format\": 1,\n");
  EXPECT_THAT(located_message(read_plan(broken).error()), HasSubstr(broken + ":2:1: "));
  const std::string empty = folder.write("empty.json", "{}");
  EXPECT_THAT(located_message(read_plan(empty).error()),
              HasSubstr(empty + ": plan: format is missing"));
  EXPECT_EQ(read_plan((folder.path() / "none.json").string()).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace mayfly
