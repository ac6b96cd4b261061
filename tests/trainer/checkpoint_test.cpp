// Work that was paid for lies in these folders. What could go wrong: a folder that looks complete
// and is not, a damaged one that is read, one that is deleted before it was uploaded, and a full
// disk that takes an older checkpoint with it.
#include "trainer/checkpoint.h"

#include <csignal>
#include <cstring>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "tests/trainer/test_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public TestFolder {
 protected:
  CheckpointTest() : run_{folder_ / "run"}, model_(folder_ / "model") {
    fs::create_directories(run_.checkpoints());
    fs::create_directories(model_);
    EXPECT_TRUE(write_file(model_ / "tokenizer.json", "{}"));
    EXPECT_TRUE(write_file(model_ / "tokenizer_config.json", "{}"));
    EXPECT_TRUE(write_file(model_ / "model.safetensors", "big"));
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>(i) / 3;
  }

  CheckpointContent content(std::int64_t step) {
    CheckpointContent made;
    made.adapter.tensors = {{"base_model.model.x.lora_A.weight",
                             TensorType::f32,
                             {static_cast<std::int64_t>(values_.size())},
                             std::as_bytes(std::span(values_))}};
    made.adapter.config = "{}\n";
    made.adapter.model_card = "# card\n";
    made.adapter.model_dir = model_;
    made.optimizer = made.adapter.tensors;
    made.optimizer[0].name = "first_moment";
    made.trainer_state = "{}\n";
    made.state.step = step;
    made.state.total_steps = 1000;
    return made;
  }
  void write(std::int64_t step) {
    ASSERT_TRUE(write_checkpoint(run_, content(step)));
  }
  std::vector<std::string> hidden() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run_.checkpoints())) {
      const std::string name = entry.path().filename().string();
      if (name[0] == '.') names.push_back(name);
    }
    return names;
  }

  const RunDirectory run_;
  const fs::path model_;
  std::vector<float> values_ = std::vector<float>(1000);
};

// In a child process, because the limit cannot be taken back.
int with_file_size_limit(rlim_t bytes, const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(work() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(CheckpointTest, ComesBackAsItWas) {
  const Result<std::int64_t> bytes = write_checkpoint(run_, content(7));
  ASSERT_TRUE(bytes);
  std::int64_t size = 0;
  for (const auto& entry : fs::directory_iterator(run_.checkpoint(7))) {
    size += static_cast<std::int64_t>(entry.file_size());
  }
  EXPECT_EQ(*bytes, size);
  for (const char* name : {"adapter_config.json", "README.md", "tokenizer.json",
                           "tokenizer_config.json", "trainer_state.json"}) {
    EXPECT_TRUE(fs::exists(run_.checkpoint(7) / name)) << name;
  }
  EXPECT_FALSE(fs::exists(run_.checkpoint(7) / "model.safetensors"));

  const Result<Checkpoint> read = read_checkpoint(run_.checkpoint(7));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->state.step, 7);
  const StoredTensor* adapter = read->adapter.find("base_model.model.x.lora_A.weight");
  ASSERT_NE(adapter, nullptr);
  EXPECT_EQ(std::memcmp(adapter->bytes.data(), values_.data(), adapter->bytes.size()), 0);
  EXPECT_NE(read->optimizer.find("first_moment"), nullptr);
  EXPECT_TRUE(hidden().empty());
}

TEST_F(CheckpointTest, OneChangedByteAnywhereIsNoticed) {
  write(7);
  for (const auto& entry : fs::directory_iterator(run_.checkpoint(7))) {
    const std::string whole = *read_file(entry.path());
    for (const std::size_t at : {std::size_t{0}, whole.size() / 2, whole.size() - 1}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x10);
      ASSERT_TRUE(write_file(entry.path(), changed));
      // The manifest itself may change where it means nothing: in its white space.
      if (entry.path().filename() == "manifest.json") continue;
      const Result<Checkpoint> read = read_checkpoint(run_.checkpoint(7));
      ASSERT_FALSE(read) << entry.path() << " byte " << at;
      EXPECT_EQ(read.error().kind, ErrorKind::corrupt);
    }
    ASSERT_TRUE(write_file(entry.path(), whole.substr(0, whole.size() / 2)));
    EXPECT_FALSE(read_checkpoint(run_.checkpoint(7))) << entry.path() << " cut short";
    fs::remove(entry.path());
    EXPECT_FALSE(read_checkpoint(run_.checkpoint(7))) << entry.path() << " missing";
    ASSERT_TRUE(write_file(entry.path(), whole));
  }
  EXPECT_TRUE(read_checkpoint(run_.checkpoint(7)));
}

TEST_F(CheckpointTest, AManifestThatNamesNothingIsNoCheckpoint) {
  write(7);
  for (const char* text : {"{}", "[]", "{\"files\":{}}", "{\"files\":{\"resume.json\":3}}", ""}) {
    ASSERT_TRUE(write_file(run_.checkpoint(7) / "manifest.json", text));
    EXPECT_FALSE(read_checkpoint(run_.checkpoint(7))) << text;
  }
}

TEST_F(CheckpointTest, ListsCompleteOnesOnlyInTheOrderOfSteps) {
  for (const std::int64_t step : {200, 9, 10}) write(step);
  fs::create_directories(run_.checkpoints() / ".checkpoint-300");
  fs::create_directories(run_.checkpoints() / "checkpoint-x");
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{9, 10, 200}));
  ASSERT_TRUE(remove_leftovers(run_));
  EXPECT_TRUE(hidden().empty());
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{9, 10, 200}));
}

TEST_F(CheckpointTest, OneThatIsThereAlreadyIsLeftAlone) {
  write(7);
  const auto before = fs::last_write_time(run_.checkpoint(7) / "manifest.json");
  write(7);
  EXPECT_EQ(fs::last_write_time(run_.checkpoint(7) / "manifest.json"), before);
  EXPECT_TRUE(hidden().empty());
}

// After going on from the one before it: the same step comes by again.
TEST_F(CheckpointTest, ADamagedOneIsReplacedWhenItsStepComesByAgain) {
  write(7);
  ASSERT_TRUE(write_file(run_.checkpoint(7) / "optimizer.safetensors", "half"));
  ASSERT_FALSE(read_checkpoint(run_.checkpoint(7)));
  write(7);
  EXPECT_TRUE(read_checkpoint(run_.checkpoint(7)));
  EXPECT_TRUE(hidden().empty());
}

TEST_F(CheckpointTest, NothingGoesWhileTheNewestCannotBeReadBack) {
  for (const std::int64_t step : {1, 2, 3}) write(step);
  ASSERT_TRUE(write_file(run_.checkpoint(3) / "resume.json", "half"));
  const Status refused = delete_old_checkpoints(run_, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST_F(CheckpointTest, RoomIsProvedForAsManyAsWillStandSideBySide) {
  const std::int64_t bytes = *write_checkpoint(run_, content(1));
  const auto limit = static_cast<rlim_t>(3 * bytes);
  const auto rehearse = [&](std::int64_t copies) {
    return [=, this] { return static_cast<bool>(rehearse_checkpoint(run_, content(0), copies)); };
  };
  EXPECT_EQ(with_file_size_limit(limit, rehearse(4)), 0);
  EXPECT_EQ(with_file_size_limit(limit, rehearse(5)), 1);
  EXPECT_TRUE(hidden().empty());
}

TEST_F(CheckpointTest, TheAdapterHasAManifestToo) {
  const CheckpointContent made = content(7);
  ASSERT_TRUE(publish_adapter(run_, made.adapter));
  EXPECT_TRUE(check_manifest(run_.adapter(), {"adapter_model.safetensors"}));
}

TEST_F(CheckpointTest, WithoutAnAgentTheNewestStay) {
  for (const std::int64_t step : {1, 2, 3, 4}) write(step);
  ASSERT_TRUE(delete_old_checkpoints(run_, 2));
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{3, 4}));
  ASSERT_TRUE(delete_old_checkpoints(run_, 0));  // never the last one
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{4}));
}

TEST_F(CheckpointTest, WithAnAgentNothingGoesThatItStillNeeds) {
  for (const std::int64_t step : {1, 2, 3, 4}) write(step);
  fs::create_directories(run_.agent() / "uploaded");
  ASSERT_TRUE(delete_old_checkpoints(run_, 1));
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{1, 2, 3, 4}));
  ASSERT_TRUE(write_file(run_.uploaded_mark(2), ""));
  ASSERT_TRUE(write_file(run_.uploaded_mark(4), ""));
  ASSERT_TRUE(delete_old_checkpoints(run_, 1));
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{1, 3, 4}));
}

TEST_F(CheckpointTest, AFullDiskIsFoundBeforeTrainingAndLosesNothing) {
  write(1);
  const auto finds_it = [&](const Status& status) {
    return !status && status.error().kind == ErrorKind::no_space && !status.error().hint.empty();
  };
  EXPECT_EQ(
      with_file_size_limit(3000, [&] { return finds_it(rehearse_checkpoint(run_, content(0))); }),
      0);
  EXPECT_EQ(with_file_size_limit(3000,
                                 [&] {
                                   const auto wrote = write_checkpoint(run_, content(2));
                                   return !wrote && wrote.error().kind == ErrorKind::no_space;
                                 }),
            0);
  EXPECT_TRUE(hidden().empty());
  EXPECT_EQ(checkpoint_steps(run_), (std::vector<std::int64_t>{1}));
  EXPECT_TRUE(read_checkpoint(run_.checkpoint(1)));
  // And with room there is nothing to find, and nothing left behind.
  EXPECT_TRUE(rehearse_checkpoint(run_, content(0)));
  EXPECT_TRUE(hidden().empty());
}

TEST(AdapterConfigTest, HasTheFieldsPeftWrites) {
  const auto json = parse_json(adapter_config_json({.base = "org/base",
                                                    .rank = 16,
                                                    .alpha = 32.0,
                                                    .dropout = 0.05,
                                                    .use_rslora = true,
                                                    .targets = {"q_proj", "v_proj"}}),
                               "adapter_config.json");
  ASSERT_TRUE(json);
  EXPECT_EQ(json->at("peft_type"), "LORA");
  EXPECT_EQ(json->at("task_type"), "CAUSAL_LM");
  EXPECT_EQ(json->at("base_model_name_or_path"), "org/base");
  EXPECT_TRUE(json->at("revision").is_null());
  EXPECT_EQ(json->at("r"), 16);
  EXPECT_TRUE(json->at("lora_alpha").is_number_integer());
  EXPECT_EQ(json->at("use_rslora"), true);
  EXPECT_EQ(json->at("target_modules"), (std::vector<std::string>{"q_proj", "v_proj"}));
}

}  // namespace
}  // namespace mayfly
