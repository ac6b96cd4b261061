// A run's name becomes a folder and a repository: what could go wrong is a name the hub refuses
// after the machine has been paid for, or one that overwrites an earlier run's folder.
#include "core/run/run_name.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

RunConfig config() {
  RunConfig config;
  config.model.base = "HuggingFaceTB/SmolLM2-135M-Instruct";
  config.data.path = {"/data/gsm8k/train.messages.jsonl"};
  return config;
}

std::string name_of(const RunConfig& run, const std::vector<std::string>& taken = {},
                    const RunNameOverrides& overrides = {}) {
  const Result<std::string> name = choose_run_name(run, taken, overrides);
  return name ? *name : "error: " + name.error().message;
}

TEST(RunNameTest, IsModelDatasetSizeAndNumber) {
  RunConfig run = config();
  EXPECT_EQ(name_of(run), "smollm2-135m-instruct-train-full-run1");
  run.data.sample_size = 128;
  EXPECT_EQ(name_of(run), "smollm2-135m-instruct-train-128-run1");
  run.data.max_train_samples = 100;
  EXPECT_EQ(name_of(run), "smollm2-135m-instruct-train-100-run1");
  run.model.base = "/models/My Model (v2)/";
  run.data.path = {"./.hidden.jsonl"};
  EXPECT_EQ(name_of(run), "my-model-v2-hidden-100-run1");
}

TEST(RunNameTest, CountsOnFromTheHighestOfTheSamePrefix) {
  const std::string prefix = "smollm2-135m-instruct-train-full-run";
  EXPECT_EQ(name_of(config(), {prefix + "2", prefix + "10", prefix + "x", "other-run77"}),
            prefix + "11");
}

TEST(RunNameTest, TheEnvironmentWinsOverTheFile) {
  RunConfig run = config();
  EXPECT_EQ(name_of(run, {}, {.name = {}, .index = "7", .legacy = {}}),
            "smollm2-135m-instruct-train-full-run7");
  run.run.name = "dogs.v2";
  EXPECT_EQ(name_of(run), "dogs.v2");
  EXPECT_EQ(name_of(run, {}, {.name = "my-custom-run42", .index = "7", .legacy = {}}),
            "my-custom-run42");
}

TEST(RunNameTest, RefusesWhatNeitherAFolderNorTheHubTakes) {
  RunConfig run = config();
  for (const char* bad : {"", "../up", "a/b", ".hidden", "-x", "a--b", "a..b", "a b", "x-", "é"}) {
    run.run.name = bad;
    const Result<std::string> name = choose_run_name(run, {}, {});
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().kind, ErrorKind::invalid_config);
  }
  run.run.name = std::string(96, 'a');
  EXPECT_TRUE(choose_run_name(run, {}, {}));
  run.run.name = std::string(97, 'a');
  EXPECT_FALSE(choose_run_name(run, {}, {}));
  EXPECT_FALSE(choose_run_name(config(), {}, {.name = {}, .index = "seven", .legacy = {}}));
  EXPECT_FALSE(choose_run_name(config(), {}, {.name = {}, .index = {}, .legacy = "1"}));
}

TEST(RunNameTest, ALongModelNameStillFits) {
  RunConfig run = config();
  run.model.base = std::string(300, 'm');
  run.data.path = {std::string(300, 'd') + ".jsonl"};
  const std::string name = name_of(run, {}, {.name = {}, .index = "123456", .legacy = {}});
  EXPECT_LE(name.size(), 96U);
}

}  // namespace
}  // namespace mayfly
