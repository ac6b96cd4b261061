// The rules between fields, and the batch sizes that follow from them. A rule that misses lets a
// run start that cannot be what was meant.
#include "core/config/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RunConfig valid() {
  RunConfig config;
  config.model.base = "model";
  config.data.path = {"a.jsonl"};
  return config;
}

// "path message | hint" of each broken rule.
std::vector<std::string> broken(const RunConfig& config) {
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : problems(config)) {
    lines.push_back(problem.path + " " + problem.message +
                    (problem.hint.empty() ? "" : " | " + problem.hint));
  }
  return lines;
}

struct Batches {
  std::optional<std::int64_t> per_device, accumulation, effective;
};

TrainConfig train_with(const Batches& given) {
  TrainConfig train;
  train.per_device_batch_size = given.per_device;
  train.gradient_accumulation = given.accumulation;
  train.effective_batch_size = given.effective;
  return train;
}

TEST(BatchSizesTest, DerivesTheThirdOfTwo) {
  const auto sizes = [](const Batches& given) {
    const BatchSizes found = batch_sizes(train_with(given));
    return std::vector{found.per_device, found.accumulation, found.effective};
  };
  EXPECT_THAT(sizes({}), ElementsAre(1, 1, 1));
  EXPECT_THAT(sizes({.per_device = 6, .accumulation = {}, .effective = 60}),
              ElementsAre(6, 10, 60));
  EXPECT_THAT(sizes({.per_device = {}, .accumulation = 10, .effective = 60}),
              ElementsAre(6, 10, 60));
  EXPECT_THAT(sizes({.per_device = 4, .accumulation = 3, .effective = {}}), ElementsAre(4, 3, 12));
  EXPECT_THAT(sizes({.per_device = 6, .accumulation = 10, .effective = 60}),
              ElementsAre(6, 10, 60));
  EXPECT_THAT(sizes({.per_device = 8, .accumulation = {}, .effective = {}}), ElementsAre(8, 1, 8));
  EXPECT_THAT(sizes({.per_device = {}, .accumulation = 8, .effective = {}}), ElementsAre(1, 8, 8));
  EXPECT_THAT(sizes({.per_device = {}, .accumulation = {}, .effective = 8}), ElementsAre(1, 8, 8));
}

// Programs may show a config that is still wrong; dividing by nothing must not end them.
TEST(BatchSizesTest, OfAWrongConfigAreStillNumbers) {
  for (const std::int64_t wrong : {0, -5}) {
    const BatchSizes sizes =
        batch_sizes(train_with({.per_device = {}, .accumulation = wrong, .effective = 7}));
    EXPECT_GE(sizes.per_device, 1);
    EXPECT_GE(sizes.accumulation, 1);
  }
  EXPECT_EQ(
      batch_sizes(train_with({.per_device = 8, .accumulation = {}, .effective = 4})).accumulation,
      1);
}

TEST(ProblemsTest, FindsNoneInAValidConfig) {
  EXPECT_THAT(broken(valid()), IsEmpty());
}

TEST(ProblemsTest, AsksForModelAndData) {
  const auto found = problems(RunConfig{});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].path, "model.base");
  EXPECT_TRUE(found[0].is_missing);
  EXPECT_EQ(found[1].path, "data.path");
  EXPECT_TRUE(found[1].is_missing);
}

TEST(ProblemsTest, BatchSizesMustAgree) {
  const auto problems_with = [](const Batches& given) {
    RunConfig config = valid();
    config.train = train_with(given);
    return broken(config);
  };
  EXPECT_THAT(problems_with({.per_device = 6, .accumulation = 10, .effective = 60}), IsEmpty());
  EXPECT_THAT(problems_with({.per_device = 6, .accumulation = 9, .effective = 60}),
              ElementsAre("train.effective_batch_size 60 is not per_device_batch_size 6 x "
                          "gradient_accumulation 9 = 54 | give two of the three; null unsets one"));
  EXPECT_THAT(problems_with({.per_device = 8, .accumulation = {}, .effective = 60}),
              ElementsAre("train.effective_batch_size 60 is not a multiple of "
                          "per_device_batch_size 8 | the nearest that are: 56 and 64"));
  EXPECT_THAT(problems_with({.per_device = {}, .accumulation = 7, .effective = 60}),
              ElementsAre("train.effective_batch_size 60 is not a multiple of "
                          "gradient_accumulation 7 | the nearest that are: 56 and 63"));
  EXPECT_THAT(problems_with({.per_device = 8, .accumulation = {}, .effective = 4}),
              ElementsAre("train.effective_batch_size 4 is not a multiple of "
                          "per_device_batch_size 8 | the nearest that are: 8"));
  EXPECT_THAT(problems_with({.per_device = 60, .accumulation = {}, .effective = 60}), IsEmpty());
  EXPECT_THAT(problems_with({.per_device = {}, .accumulation = {}, .effective = 61}), IsEmpty());
}

TEST(ProblemsTest, WarmUpIsGivenOneWay) {
  RunConfig config = valid();
  config.train.warmup_steps = 5;
  EXPECT_THAT(broken(config), IsEmpty());
  config.train.warmup_ratio = 0.1;
  EXPECT_THAT(broken(config),
              ElementsAre("train.warmup_ratio and train.warmup_steps are both given | give one of "
                          "the two; null unsets one"));
  config.train.warmup_steps = std::nullopt;
  EXPECT_THAT(broken(config), IsEmpty());
}

TEST(ProblemsTest, WarmUpIsShorterThanTheRun) {
  RunConfig config = valid();
  config.train.warmup_steps = 5;
  config.train.max_steps = 6;
  EXPECT_THAT(broken(config), IsEmpty());
  config.train.max_steps = 5;
  EXPECT_THAT(broken(config),
              ElementsAre("train.warmup_steps 5 is not shorter than the run, 5 steps"));
}

TEST(ProblemsTest, LearningRateDoesNotRise) {
  RunConfig config = valid();
  config.train.learning_rate = 1e-4;
  config.train.min_learning_rate = 1e-4;
  EXPECT_THAT(broken(config), IsEmpty());
  config.train.min_learning_rate = 2e-4;
  EXPECT_THAT(broken(config), ElementsAre("train.min_learning_rate is above train.learning_rate"));
}

TEST(ProblemsTest, HeldOutRowsAreSaidOnce) {
  RunConfig config = valid();
  config.data.test_size = 0.1;
  EXPECT_THAT(broken(config), IsEmpty());
  config.data.val_path = "val.jsonl";
  EXPECT_THAT(broken(config), ElementsAre("data.test_size and data.val_path both say what is held "
                                          "out | give one of the two"));
}

TEST(ProblemsTest, PatienceNeedsLossesToCount) {
  RunConfig config = valid();
  config.train.early_stop_patience = 2;
  config.data.test_size = 0.1;
  EXPECT_EQ(problems(config).size(), 1u);
  config.train.eval_steps = 5;
  EXPECT_THAT(broken(config), IsEmpty());
  config.data.test_size = 0;
  EXPECT_THAT(broken(config),
              ElementsAre("train.early_stop_patience counts held-out losses, and none are taken "
                          "while training | set train.eval_steps, and data.val_path or "
                          "data.test_size"));
  config.data.val_path = "val.jsonl";
  EXPECT_THAT(broken(config), IsEmpty());
}

TEST(ProblemsTest, AutoBatchChoosesAndTheEffectiveSizeStays) {
  RunConfig config = valid();
  config.train.auto_batch = true;
  EXPECT_THAT(broken(config), ElementsAre("train.auto_batch needs to know what stays the same | "
                                          "give train.effective_batch_size alone"));
  config.train.effective_batch_size = 8;
  EXPECT_THAT(broken(config), IsEmpty());
  config.train.per_device_batch_size = 2;
  EXPECT_THAT(broken(config),
              ElementsAre("train.auto_batch chooses how many examples are computed at once, which "
                          "is given as well | give train.effective_batch_size alone"));
}

TEST(BatchSizesTest, CountEveryProcess) {
  TrainConfig train = train_with({.per_device = 2, .accumulation = {}, .effective = 24});
  train.devices = 3;
  EXPECT_EQ(batch_sizes(train).accumulation, 4);
  EXPECT_EQ(batch_sizes(train).effective, 24);
  train = train_with({.per_device = {}, .accumulation = 2, .effective = 24});
  train.devices = 2;
  train.nodes = 3;
  EXPECT_EQ(batch_sizes(train).per_device, 2);
  train = train_with({.per_device = {}, .accumulation = {}, .effective = {}});
  train.devices = 4;
  EXPECT_EQ(batch_sizes(train).effective, 4);
}

TEST(ProblemsTest, BatchSizesMustAgreeWithTheProcesses) {
  RunConfig config = valid();
  config.train = train_with({.per_device = 2, .accumulation = 2, .effective = 4});
  config.train.devices = 2;
  EXPECT_THAT(broken(config),
              ElementsAre("train.effective_batch_size 4 is not per_device_batch_size 2 x "
                          "gradient_accumulation 2 x 2 processes = 8 | give two of the three; null "
                          "unsets one"));
  config.train = train_with({.per_device = {}, .accumulation = {}, .effective = 5});
  config.train.devices = 2;
  EXPECT_THAT(broken(config), ElementsAre("train.effective_batch_size 5 is not a multiple of 2 "
                                          "processes | the nearest that are: 4 and 6"));
  config.train.effective_batch_size = 6;
  config.train.auto_batch = true;
  EXPECT_THAT(broken(config),
              ElementsAre("train.auto_batch is built for one process | give "
                          "train.per_device_batch_size; `train sft --dry-run` says what fits"));
}

TEST(ProblemsTest, MuonHasNoUpdateForMagnitudes) {
  RunConfig config = valid();
  config.train.optimizer = OptimizerKind::muon;
  config.lora.use_dora = true;
  EXPECT_THAT(broken(config), ElementsAre("train.optimizer muon makes updates of matrices, and "
                                          "lora.use_dora has vectors | adamw and sgd take both"));
}

TEST(ProblemsTest, MomentumIsOfOptimizersThatHaveOne) {
  RunConfig config = valid();
  config.train.momentum = 0.5;
  EXPECT_THAT(broken(config),
              ElementsAre("train.momentum is of sgd and muon | AdamW's are train.adam_beta1 and "
                          "train.adam_beta2"));
  EXPECT_EQ(optimizer_moments(config.train), 2);
  config.train.optimizer = OptimizerKind::sgd;
  EXPECT_THAT(broken(config), IsEmpty());
  EXPECT_EQ(momentum(config.train), 0.5);
  config.train.momentum.reset();
  EXPECT_EQ(optimizer_moments(config.train), 0);
  config.train.optimizer = OptimizerKind::muon;
  EXPECT_EQ(momentum(config.train), 0.95);
}

TEST(ProblemsTest, HooksAreOfKnownMoments) {
  RunConfig config = valid();
  config.train.hooks = {{"on_step", "true"}, {"on_steps", "true"}};
  EXPECT_THAT(broken(config),
              ElementsAre("train.hooks.on_steps \"on_steps\" is no moment of a run | known are "
                          "on_step, on_checkpoint, on_epoch, on_end"));
}

TEST(ProblemsTest, OnlyNamesOfOursAreRenamed) {
  RunConfig config = valid();
  config.data.fields_named = {{"prompt", "question"}, {"content", "said"}};
  config.data.roles = {{"bot", "assistant"}};
  EXPECT_THAT(broken(config), IsEmpty());
  config.data.fields_named = {{"question", "prompt"}};
  config.data.roles = {{"assistant", "bot"}};
  EXPECT_THAT(broken(config),
              ElementsAre("data.fields.question \"question\" is no key of a row | our name first: "
                          "{prompt: question}; docs/data.md has the names",
                          "data.roles.assistant \"bot\" is no role of a chat | known are system, "
                          "developer, user, assistant, tool: {bot: assistant}"));
}

TEST(ProblemsTest, AllLinearStandsAlone) {
  RunConfig config = valid();
  config.lora.target_modules = {"q_proj", "v_proj"};
  EXPECT_THAT(broken(config), IsEmpty());
  config.lora.target_modules = {"all-linear", "q_proj"};
  EXPECT_EQ(problems(config).size(), 1u);
  config.lora.target_modules = {};
  EXPECT_THAT(broken(config), ElementsAre("lora.target_modules names nothing to train"));
}

// A name becomes a folder, a branch and a repository; it must not lead out of any of them.
TEST(ProblemsTest, NamesAreSafeAsFolders) {
  for (const char* name : {"a", "dogs-seed-42", "Qwen2.5_7B.run1", "1"}) {
    RunConfig config = valid();
    config.run.name = name;
    EXPECT_THAT(broken(config), IsEmpty()) << name;
  }
  for (const char* name : {"", ".", "..", "../x", "a/b", "-rf", ".hidden", "a b", "a..b", "a\nb",
                           "caf\xC3\xA9", "a;b"}) {
    RunConfig config = valid();
    config.run.name = name;
    EXPECT_EQ(problems(config).size(), 1u) << name;
  }
  RunConfig config = valid();
  config.run.name = std::string(96, 'a');
  EXPECT_THAT(broken(config), IsEmpty());
  config.run.name = std::string(97, 'a');
  EXPECT_EQ(problems(config).size(), 1u);
}

TEST(ProblemsTest, RepositoriesHaveOwnerAndName) {
  for (const char* repo : {"x", "a/b/c", "/b", "a/", "a b/c", "https://hub/a/b", "../a"}) {
    RunConfig config = valid();
    config.hub.repo = repo;
    EXPECT_THAT(broken(config), ElementsAre("hub.repo \"" + std::string(repo) +
                                            "\" is not a repository | owner/name, such as "
                                            "me/my-adapter"));
  }
  RunConfig config = valid();
  config.hub.repo_prefix = "me/dogs";
  EXPECT_THAT(broken(config), IsEmpty());
  config.hub.repo = "me/dogs";
  EXPECT_THAT(broken(config), ElementsAre("hub.repo_prefix and hub.repo both name where to "
                                          "publish | give one of the two"));
}

// A key that nobody uses would be taken for the one that opens the machine.
TEST(ProblemsTest, AKeyAndAHostGoTogether) {
  RunConfig config = valid();
  config.ssh.key = "/home/me/.ssh/id_ed25519";
  EXPECT_EQ(broken(config).size(), 1u);
  config.instance.host = "me@box";
  EXPECT_THAT(broken(config), IsEmpty());
  config.provider = ProviderName::attached;
  EXPECT_THAT(broken(config), IsEmpty());
  config.provider = ProviderName::lambda;
  EXPECT_EQ(broken(config).size(), 1u);
  config.instance.host = std::nullopt;
  EXPECT_EQ(broken(config).size(), 1u);
}

TEST(ProblemsTest, SeedsAreDistinctAndHaveARepositoryEach) {
  RunConfig config = valid();
  config.run.seeds = {1, 2};
  config.hub.repo_prefix = "me/dogs";
  EXPECT_THAT(broken(config), IsEmpty());
  config.hub.repo_prefix = std::nullopt;
  config.hub.repo = "me/dogs";
  EXPECT_THAT(broken(config), ElementsAre("hub.repo is one repository for 2 seeds | give "
                                          "hub.repo_prefix: each seed gets <prefix>-seed-<N>"));
  config.hub.repo = std::nullopt;
  config.run.seeds = {1, 1};
  EXPECT_THAT(broken(config), ElementsAre("run.seeds has a seed twice"));
  config.run.seeds = {};
  EXPECT_EQ(problems(config).size(), 1u);
}

TEST(ProblemsTest, TimeToLiveIsLongerThanTheReserve) {
  RunConfig config = valid();
  config.limits.reserve = std::chrono::seconds(3600);
  config.limits.ttl_hours = 1.01;
  EXPECT_THAT(broken(config), IsEmpty());
  config.limits.ttl_hours = 1.0;
  EXPECT_EQ(problems(config).size(), 1u);
}

}  // namespace
}  // namespace mayfly
