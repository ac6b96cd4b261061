// What a run does otherwise when a key says so, in whole runs of the real program: steps left out,
// ends that come early, other optimizers, commands at its moments. A key that is read and changes
// nothing is what could go wrong, and a run that goes on from a checkpoint and ends with other
// bytes.
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/run/event.h"
#include "tests/trainer/test_folder.h"
#include "tests/trainer/tiny_model.h"
#include "tests/trainer/train_process.h"
#include "trainer/checkpoint.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class TrainingOptionsTest : public TestFolder {
 protected:
  TrainingOptionsTest() {
    write_tiny_model(folder_ / "model");
    EXPECT_TRUE(write_file(folder_ / "train.jsonl", tiny_conversations(24)));
    EXPECT_TRUE(write_file(folder_ / "val.jsonl", tiny_conversations(5)));
    EXPECT_TRUE(write_file(folder_ / "run.yaml", R"(
model: {base: model}
data: {path: [train.jsonl], cutoff_len: 192, shuffle: false}
lora: {r: 4, alpha: 8}
train: {threads: 1, device: cpu, bf16: false, learning_rate: 1e-2, gradient_accumulation: 3}
)"));
  }

  RunDirectory run(const std::string& name) const {
    return RunDirectory{folder_ / "outputs" / name};
  }
  int train(const std::string& name, const std::vector<std::string>& set) {
    std::vector<std::string> words = {"sft", "-c", "run.yaml", "--set", "run.name=" + name};
    for (const std::string& each : set) words.insert(words.end(), {"--set", each});
    TrainProcess process(folder_, words);
    const int code = process.wait();
    err_ = process.err();
    return code;
  }
  template <class T>
  std::vector<T> events_of(const std::string& name) const {
    std::vector<T> found;
    std::istringstream lines(*read_file(run(name).events()));
    for (std::string line; std::getline(lines, line);) {
      const auto event = parse_event(line);
      if (!event || !*event) continue;
      if (const T* body = std::get_if<T>(&(*event)->body)) found.push_back(*body);
    }
    return found;
  }
  std::string adapter_bytes(const std::string& name) const {
    return *read_file(run(name).adapter() / "adapter_model.safetensors");
  }

  std::string err_;
};

TEST_F(TrainingOptionsTest, EndsWhenTheHeldOutLossFallsNoMore) {
  const std::vector<std::string> set = {"train.epochs=5", "train.eval_steps=2",
                                        "data.val_path=val.jsonl", "train.early_stop_patience=2",
                                        "train.early_stop_min_delta=100"};
  ASSERT_EQ(train("early", set), 0) << err_;
  // The loss before training is the best; those after steps 2 and 4 are not 100 below it.
  EXPECT_EQ(events_of<StepEvent>("early").size(), 4U);
  EXPECT_EQ(events_of<FinishedEvent>("early").back().steps, 4);
  EXPECT_TRUE(read_checkpoint(run("early").checkpoint(4)));
  bool told = false;
  for (const auto& warning : events_of<WarningEvent>("early")) told |= warning.code == "early_stop";
  EXPECT_TRUE(told);
}

// The held-out losses fall by less and less: the run ends before its last step, and one that goes
// on from a checkpoint ends at the same.
TEST_F(TrainingOptionsTest, PatienceGoesOnFromACheckpoint) {
  const std::vector<std::string> set = {
      "train.epochs=5",           "train.eval_steps=1",
      "data.val_path=val.jsonl",  "train.learning_rate=3e-4",
      "train.save_steps=1",       "train.early_stop_patience=4",
      "train.save_total_limit=9", "train.early_stop_min_delta=0.05"};
  ASSERT_EQ(train("whole", set), 0) << err_;
  const std::int64_t last = events_of<FinishedEvent>("whole").back().steps;
  ASSERT_LT(last, 40);
  ASSERT_GT(last, 2);
  for (const std::int64_t step : {last - 2, last - 1, last}) {
    const std::string name = "again" + std::to_string(step);
    std::vector<std::string> from = set;
    from.push_back("train.resume_from=" + run("whole").checkpoint(step).string());
    ASSERT_EQ(train(name, from), 0) << err_;
    EXPECT_EQ(events_of<FinishedEvent>(name).back().steps, last);
    EXPECT_EQ(adapter_bytes(name), adapter_bytes("whole"));
  }
}

// Four rows of 48 tokens to a pack of 192: what they give is what they give as a batch of four, and
// what they give one after the other.
TEST_F(TrainingOptionsTest, APackTrainsAsItsRowsDoAlone) {
  std::string text;
  for (int row = 0; row < 22; ++row) {
    std::string ids = std::to_string(3 + row);
    for (int i = 1; i < 48; ++i) ids += "," + std::to_string(3 + (row * 37 + i * i * 11) % 390);
    text += R"({"input_ids":[)" + ids + "]}\n";
  }
  ASSERT_TRUE(write_file(folder_ / "train.jsonl", text));
  const std::string one = "train.gradient_accumulation=1", save = "train.save_steps=2";
  ASSERT_EQ(train("packed", {"data.pack_sequences=true", one, save, "train.save_total_limit=9"}), 0)
      << err_;
  ASSERT_EQ(train("batch", {"train.per_device_batch_size=4", one}), 0) << err_;
  ASSERT_EQ(train("alone", {"train.gradient_accumulation=4"}), 0) << err_;
  EXPECT_EQ(adapter_bytes("packed"), adapter_bytes("batch"));
  const auto packed = events_of<StepEvent>("packed"), alone = events_of<StepEvent>("alone");
  ASSERT_EQ(packed.size(), 6U);  // of the last pack two rows
  ASSERT_EQ(alone.size(), 6U);
  for (std::size_t i = 0; i < packed.size(); ++i) {
    EXPECT_EQ(packed[i].tokens, i < 5 ? 192 : 96);
    EXPECT_NEAR(packed[i].loss, alone[i].loss, 1e-5 * alone[i].loss);
    EXPECT_NEAR(packed[i].grad_norm, alone[i].grad_norm, 1e-4 * alone[i].grad_norm);
  }

  // A checkpoint of packs goes on as packs, and as nothing else.
  const std::string from = "train.resume_from=" + run("packed").checkpoint(2).string();
  ASSERT_EQ(train("again", {"data.pack_sequences=true", one, from}), 0) << err_;
  EXPECT_EQ(adapter_bytes("again"), adapter_bytes("packed"));
  EXPECT_NE(train("other", {one, from}), 0);
  EXPECT_NE(err_.find("batch size"), std::string::npos) << err_;
}

// A token whose embedding is not a number breaks the steps that have it, and only those.
class BrokenTokenTest : public TrainingOptionsTest {
 protected:
  BrokenTokenTest() {
    fs::remove_all(folder_ / "model");
    write_tiny_model(folder_ / "model", {.broken_token = 399});
  }
  // 36 rows; a step has three of them.
  void write_rows(int first_broken, int last_broken) {
    std::string text;
    for (int row = 0; row < 36; ++row) {
      std::string ids = first_broken <= row && row <= last_broken ? "399" : "5";
      for (int i = 0; i < 20; ++i) ids += "," + std::to_string(3 + (row * 37 + i * i * 11) % 390);
      text += R"({"input_ids":[)" + ids + "]}\n";
    }
    ASSERT_TRUE(write_file(folder_ / "train.jsonl", text));
  }
  void remove_rows_of_step(int step) {
    std::istringstream lines(*read_file(folder_ / "train.jsonl"));
    std::string left, line;
    for (int row = 0; std::getline(lines, line); ++row) {
      if (row / 3 + 1 != step) left += line + "\n";
    }
    ASSERT_TRUE(write_file(folder_ / "train.jsonl", left));
  }
  std::vector<std::int64_t> steps_of(const std::string& name) const {
    std::vector<std::int64_t> steps;
    for (const auto& step : events_of<StepEvent>(name)) steps.push_back(step.step);
    return steps;
  }
  std::int64_t skipped(const std::string& name) const {
    std::int64_t count = 0;
    for (const auto& warning : events_of<WarningEvent>(name)) {
      count += warning.code == "skipped_step" ? 1 : 0;
    }
    return count;
  }
};

TEST_F(BrokenTokenTest, ASkippedStepLeavesNothingBehind) {
  write_rows(4, 4);
  ASSERT_EQ(train("stops", {}), 11) << err_;
  EXPECT_NE(err_.find("step 2: the loss or its gradient is not a finite number any more"),
            std::string::npos)
      << err_;
  std::vector<std::string> set = {"train.nan_policy=skip", "train.save_steps=5",
                                  "train.save_total_limit=9", "train.lr_scheduler=constant"};
  ASSERT_EQ(train("skips", set), 0) << err_;
  EXPECT_THAT(steps_of("skips"), testing::ElementsAre(1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  EXPECT_EQ(skipped("skips"), 1);

  set.push_back("train.resume_from=" + run("skips").checkpoint(5).string());
  ASSERT_EQ(train("again", set), 0) << err_;
  EXPECT_EQ(adapter_bytes("again"), adapter_bytes("skips"));

  // The rate is constant: it is as if the step's rows had never been there.
  remove_rows_of_step(2);
  ASSERT_EQ(train("without", {"train.lr_scheduler=constant"}), 0) << err_;
  EXPECT_EQ(adapter_bytes("without"), adapter_bytes("skips"));
}

TEST_F(BrokenTokenTest, TenInARowEndTheRunAlsoAfterGoingOn) {
  write_rows(3, 32);  // steps 2 to 11
  std::vector<std::string> set = {"train.nan_policy=skip", "train.save_steps=4",
                                  "train.save_total_limit=9"};
  ASSERT_EQ(train("whole", set), 11) << err_;
  EXPECT_NE(err_.find("step 11: the loss or its gradient is not a finite number, as in the 9"),
            std::string::npos)
      << err_;
  EXPECT_EQ(skipped("whole"), 9);
  set.push_back("train.resume_from=" + run("whole").checkpoint(8).string());
  ASSERT_EQ(train("again", set), 11) << err_;
  EXPECT_EQ(skipped("again"), 2);

  write_rows(3, 29);
  ASSERT_EQ(train("nine", {"train.nan_policy=skip"}), 0) << err_;
  EXPECT_EQ(skipped("nine"), 9);
}

// Another optimizer is another run, and each goes on exactly from its checkpoint.
TEST_F(TrainingOptionsTest, EveryOptimizerGoesOnFromACheckpoint) {
  ASSERT_EQ(train("adamw", {}), 0) << err_;
  for (const std::string name : {"sgd", "muon"}) {
    const std::vector<std::string> set = {"train.optimizer=" + name, "train.momentum=0.9",
                                          "train.save_steps=3", "train.save_total_limit=9"};
    ASSERT_EQ(train(name, set), 0) << err_;
    EXPECT_NE(adapter_bytes(name), adapter_bytes("adamw"));
    const auto steps = events_of<StepEvent>(name);
    EXPECT_LT(steps.back().loss, steps.front().loss);
    const std::string from = "train.resume_from=" + run(name).checkpoint(3).string();
    std::vector<std::string> again = set;
    again.push_back(from);
    ASSERT_EQ(train(name + "_again", again), 0) << err_;
    EXPECT_EQ(adapter_bytes(name + "_again"), adapter_bytes(name));
    EXPECT_EQ(train(name + "_as_adamw", {from, "train.save_steps=3"}), 2);
    EXPECT_NE(err_.find("optimizer differ"), std::string::npos) << err_;
  }
}

// Magnitudes are part of the adapter and of what a run goes on from; what is loaded later counts
// with them.
TEST_F(TrainingOptionsTest, DoraGoesOnFromACheckpointAndIsReadBack) {
  const std::vector<std::string> set = {"lora.use_dora=true", "lora.dropout=0.1",
                                        "train.save_steps=3", "train.save_total_limit=9"};
  ASSERT_EQ(train("lora", {}), 0) << err_;
  ASSERT_EQ(train("dora", set), 0) << err_;
  EXPECT_NE(adapter_bytes("dora"), adapter_bytes("lora"));
  EXPECT_NE(adapter_bytes("dora").find("lora_magnitude_vector"), std::string::npos);
  std::vector<std::string> again = set;
  again.push_back("train.resume_from=" + run("dora").checkpoint(3).string());
  ASSERT_EQ(train("dora_again", again), 0) << err_;
  EXPECT_EQ(adapter_bytes("dora_again"), adapter_bytes("dora"));
  const std::string from = "lora.init_from=" + run("lora").adapter().string();
  EXPECT_EQ(train("neither", {"lora.use_dora=true", from}), 2);
  EXPECT_NE(err_.find("has no magnitudes"), std::string::npos) << err_;
}

// Six at once fit any machine; a checkpoint says how many it was made with.
TEST_F(TrainingOptionsTest, AutoBatchTakesWhatFitsAndKeepsIt) {
  const std::string no_accumulation = "train.gradient_accumulation=null";
  const std::string effective = "train.effective_batch_size=6";
  const std::vector<std::string> set = {no_accumulation, effective, "train.auto_batch=true",
                                        "train.save_steps=2", "train.save_total_limit=9"};
  ASSERT_EQ(train("auto", set), 0) << err_;
  ASSERT_EQ(train("six", {no_accumulation, effective, "train.per_device_batch_size=6"}), 0) << err_;
  EXPECT_EQ(adapter_bytes("auto"), adapter_bytes("six"));
  const auto checkpoint = read_checkpoint(run("auto").checkpoint(2));
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->state.per_device_batch_size, 6);

  std::vector<std::string> again = set;
  again.push_back("train.resume_from=" + run("auto").checkpoint(2).string());
  ASSERT_EQ(train("again", again), 0) << err_;
  EXPECT_EQ(adapter_bytes("again"), adapter_bytes("auto"));
}

// 24 rows in steps of three: eight steps an epoch.
TEST_F(TrainingOptionsTest, HooksRunAtTheirMoments) {
  ASSERT_TRUE(write_file(folder_ / "hooks.yaml", R"(
model: {base: model}
data: {path: [train.jsonl], cutoff_len: 192}
lora: {r: 4}
train:
  {threads: 1, device: cpu, bf16: false, gradient_accumulation: 3, epochs: 2, save_steps: 5,
   save_total_limit: 9, hooks: {
     on_step: 'echo "step $MAYFLY_STEP of $MAYFLY_STEPS $MAYFLY_LOSS" >> said',
     on_checkpoint: 'test -f "$MAYFLY_CHECKPOINT/adapter_model.safetensors" && echo "saved $MAYFLY_STEP" >> said',
     on_epoch: 'echo "$MAYFLY_MOMENT $MAYFLY_EPOCH" >> said',
     on_end: 'test -f "$MAYFLY_ADAPTER/adapter_config.json" && echo "end in $MAYFLY_RUN_DIR" >> said; echo no room >&2; exit 3'}}
run: {name: hooks}
)"));
  TrainProcess process(folder_, {"sft", "-c", "hooks.yaml"});
  ASSERT_EQ(process.wait(), 0) << process.err();
  std::istringstream said(*read_file(folder_ / "said"));
  std::vector<std::string> others;
  std::int64_t steps = 0;
  for (std::string line; std::getline(said, line);) {
    if (line.starts_with("step " + std::to_string(steps + 1) + " of 16 ")) {
      ++steps;
    } else {
      others.push_back(line);
    }
  }
  EXPECT_EQ(steps, 16);
  EXPECT_THAT(others, testing::ElementsAre("saved 5", "saved 8", "on_epoch 1", "saved 10",
                                           "saved 15", "saved 16", "on_epoch 2",
                                           "end in " + run("hooks").root.string()));
  const auto warnings = events_of<WarningEvent>("hooks");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].what, "train.hooks.on_end failed: exit code 3: no room");
}

}  // namespace
}  // namespace mayfly
