// A configuration that is read wrongly rents the wrong machine for the wrong time. Guarded here:
// which layer wins, what a key means, and that every mistake is named with its place.
#include "core/config/load.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/config_json.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LoadTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("load_test_" + std::to_string(getpid()) + "_" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    inputs_.working_directory = folder_;
    inputs_.environment["HOME"] = (folder_ / "home").string();
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
  }

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }

  // Loads `text` as run.yaml, with model and data given where the text is not about them.
  LoadedConfig load(const std::string& text) {
    write("run.yaml", text);
    inputs_.files = {"run.yaml"};
    inputs_.must_be_complete = false;
    return load_config(inputs_);
  }

  // "3:5 message | hint" of each problem, without the file's name.
  std::vector<std::string> problems_of(const std::string& text) {
    std::vector<std::string> lines;
    for (const Error& problem : load(text).problems) {
      std::string line = problem.message;
      if (problem.at.line > 0) {
        line =
            std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) + " " + line;
      }
      if (!problem.hint.empty()) line += " | " + problem.hint;
      lines.push_back(line);
    }
    return lines;
  }

  void set(const std::string& text) {
    inputs_.command_line.push_back({"", text, "--set"});
  }

  std::filesystem::path folder_;
  ConfigInputs inputs_;
};

TEST_F(LoadTest, ReadsTheShortestUsefulFile) {
  write("run.yaml",
        "model: {base: Qwen/Qwen2.5-7B-Instruct}\ndata: {path: my.jsonl}\n"
        "hub: {repo: me/my-adapter}\n");
  inputs_.files = {"run.yaml"};
  const LoadedConfig loaded = load_config(inputs_);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_EQ(loaded.config.model.base, "Qwen/Qwen2.5-7B-Instruct");
  EXPECT_THAT(loaded.config.data.path, ElementsAre("my.jsonl"));
  EXPECT_EQ(loaded.config.hub.repo, "me/my-adapter");
  EXPECT_EQ(origin_text(loaded.origins.at("hub.repo")), (folder_ / "run.yaml").string() + ":3:13");
}

TEST_F(LoadTest, LaysTheLayersOverEachOtherInOrder) {
  write(
      "home/.config/mayfly/config.yaml",
      "train: {epochs: 2, logging_steps: 2, eval_steps: 2, save_steps: 2, save_total_limit: 2}\n");
  write("first.yaml",
        "train: {logging_steps: 3, eval_steps: 3, save_steps: 3, save_total_limit: 3}");
  write("second.yaml", "train:\n  eval_steps: 4\n  save_steps: 4\n  save_total_limit: 4\n");
  inputs_.files = {"first.yaml", "second.yaml"};
  inputs_.must_be_complete = false;
  inputs_.environment["MAYFLY_TRAIN_SAVE_STEPS"] = "5";
  inputs_.environment["MAYFLY_TRAIN_SAVE_TOTAL_LIMIT"] = "5";
  inputs_.command_line = {{"train.save_total_limit", "6", "--x"},
                          {"", "train.save_total_limit=7", "--set"}};
  const LoadedConfig loaded = load_config(inputs_);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_EQ(loaded.config.train.max_grad_norm, 1.0);
  EXPECT_EQ(loaded.config.train.epochs, 2.0);
  EXPECT_EQ(loaded.config.train.logging_steps, 3);
  EXPECT_EQ(loaded.config.train.eval_steps, 4);
  EXPECT_EQ(loaded.config.train.save_steps, 5);
  EXPECT_EQ(loaded.config.train.save_total_limit, 7);
  EXPECT_EQ(origin_text(loaded.origins.at("train.save_steps")), "MAYFLY_TRAIN_SAVE_STEPS");
  EXPECT_EQ(origin_text(loaded.origins.at("train.save_total_limit")), "--set");
  EXPECT_EQ(origin_text(Origin{}), "default");
}

TEST_F(LoadTest, NamesEveryMistakeWithItsPlace) {
  EXPECT_THAT(problems_of("model:\n  base: m\ntrain:\n  epocs: 3\n  learning_rate: fast\n"
                          "lora: {r: 0}\n"),
              ElementsAre("4:3 unknown key train.epocs | did you mean train.epochs?",
                          "5:18 train.learning_rate must be a number, not \"fast\"",
                          "6:11 lora.r must be at least 1, not 0"));
}

TEST_F(LoadTest, RefusesWhatIsNotBuiltByName) {
  EXPECT_THAT(problems_of("quant:\n  bits: 4\nphase: rl\nprovider: aws\n"),
              ElementsAre("2:3 quant.bits is not built yet | leave it out",
                          "3:8 phase rl is not built yet", "4:11 provider aws is not built yet"));
}

}  // namespace
}  // namespace mayfly
