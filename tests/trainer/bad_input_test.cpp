// What people give a trainer that it cannot use: each time one clear sentence with the file (and
// the line), one thing to do, the right exit code, and a `failed` event; never a crash, never
// training on something else instead.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/run/event.h"
#include "tests/trainer/test_folder.h"
#include "tests/trainer/tiny_model.h"
#include "tests/trainer/train_process.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using Folder = const fs::path&;

void overwrite(const fs::path& path, std::string_view bytes) {
  ASSERT_TRUE(write_file(path, bytes));
}

// The text of `file` with the first `from` replaced by `to`.
void replace_in(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = *read_file(file);
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  overwrite(file, text);
}

struct BadInput {
  const char* name;
  std::function<void(Folder)> spoil;
  int code;
  std::vector<std::string> says;  // all of them, on standard error
};

void PrintTo(const BadInput& input, std::ostream* out) {
  *out << input.name;
}

const std::vector<BadInput>& bad_inputs() {
  static const std::vector<BadInput> inputs = {
      {"EmptyFile", [](Folder f) { overwrite(f / "train.jsonl", ""); }, 13, {"train.jsonl"}},
      {"BlankLinesOnly",
       [](Folder f) { overwrite(f / "train.jsonl", "\n\n"); },
       13,
       {"train.jsonl"}},
      {"LineCutShort",
       [](Folder f) {
         const std::string text = tiny_conversations(3);
         overwrite(f / "train.jsonl", text.substr(0, text.size() - 20));
       },
       13,
       {"train.jsonl:3"}},
      {"NotUtf8",
       [](Folder f) {
         std::string text = tiny_conversations(4);
         text[text.find("plus", text.find('\n'))] = '\xff';
         overwrite(f / "train.jsonl", text);
       },
       13,
       {"train.jsonl:2", "UTF-8"}},
      {"NoTrainedToken",
       [](Folder f) {
         std::string text = tiny_conversations(2);
         text += R"({"messages":[{"role":"user","content":")" + std::string(3000, 'x') +
                 R"("},{"role":"assistant","content":"no"}]})" + "\n";
         overwrite(f / "train.jsonl", text);
       },
       13,
       {"train.jsonl:3", "no token is trained", "hint:", "cutoff_len"}},
      {"NoFile", [](Folder f) { fs::remove(f / "train.jsonl"); }, 5, {"train.jsonl"}},
      {"NoModel", [](Folder f) { fs::remove_all(f / "model"); }, 5, {"model", "is not a folder"}},
      {"NoConfig", [](Folder f) { fs::remove(f / "model/config.json"); }, 5, {"config.json"}},
      {"OtherModelType",
       [](Folder f) { replace_in(f / "model/config.json", "\"llama\"", "\"mamba\""); },
       2,
       {"mamba"}},
      {"NoTokenizer",
       [](Folder f) { fs::remove(f / "model/tokenizer.json"); },
       5,
       {"tokenizer.json"}},
      {"NoChatTemplate",
       [](Folder f) {
         overwrite(f / "model/tokenizer_config.json", R"({"eos_token":"<|im_end|>"})");
       },
       2,
       {"chat template"}},
      {"NoWeights",
       [](Folder f) { fs::remove(f / "model/model.safetensors"); },
       5,
       {"safetensors"}},
      {"WeightsCutShort",
       [](Folder f) {
         const std::string bytes = *read_file(f / "model/model.safetensors");
         overwrite(f / "model/model.safetensors", bytes.substr(0, bytes.size() - 4));
       },
       13,
       {"model.safetensors"}},
      {"WeightsWithoutEvenAHeader",
       [](Folder f) { overwrite(f / "model/model.safetensors", "abc"); },
       13,
       {"model.safetensors"}},
      {"OverlappingTensors",
       [](Folder f) {
         // The second tensor of the file begins one element before the first ends.
         std::string bytes = *read_file(f / "model/model.safetensors");
         const std::size_t first = bytes.find("\"data_offsets\":[0,");
         ASSERT_NE(first, std::string::npos);
         const std::size_t number = first + std::string("\"data_offsets\":[0,").size();
         const std::size_t end = bytes.find(']', number);
         const std::string size = bytes.substr(number, end - number);
         const std::size_t next = bytes.find("\"data_offsets\":[" + size + ",");
         ASSERT_NE(next, std::string::npos);
         const std::string less = std::to_string(std::stoll(size) - 4);
         ASSERT_EQ(less.size(), size.size());
         bytes.replace(next + std::string("\"data_offsets\":[").size(), size.size(), less);
         overwrite(f / "model/model.safetensors", bytes);
       },
       13,
       {"model.safetensors"}},
      {"MissingTensor",
       [](Folder f) {
         replace_in(f / "model/model.safetensors", "self_attn.k_proj", "self_attn.x_proj");
       },
       13,
       {"self_attn.k_proj"}},
      {"UnknownKey",
       [](Folder f) { replace_in(f / "run.yaml", "epochs", "epohcs"); },
       2,
       {"run.yaml:4", "epohcs", "epochs"}},
      {"UnknownTarget",
       [](Folder f) { replace_in(f / "run.yaml", "r: 4", "r: 4, target_modules: [q_porj]"); },
       2,
       {"q_porj", "q_proj"}},
      {"CudaWithoutAGpu",
       [](Folder f) { replace_in(f / "run.yaml", "epochs: 1", "epochs: 1, device: cuda"); },
       3,
       {"hint:"}},
      {"AdapterOfAnotherModel",
       [](Folder f) { replace_in(f / "run.yaml", "r: 4", "r: 4, init_from: nowhere"); },
       5,
       {"nowhere"}},
  };
  return inputs;
}

class BadInputTest : public TestFolder, public testing::WithParamInterface<BadInput> {};

TEST_P(BadInputTest, IsNamedWithTheFileAndWhatToDo) {
  if (std::string(GetParam().name) == "CudaWithoutAGpu" && fs::exists("/dev/nvidiactl")) {
    GTEST_SKIP() << "this machine has a GPU";
  }
  write_tiny_model(folder_ / "model");
  overwrite(folder_ / "train.jsonl", tiny_conversations(4));
  overwrite(folder_ / "run.yaml",
            "model: {base: model}\nrun: {name: bad}\ndata: {path: [train.jsonl]}\n"
            "train: {epochs: 1, threads: 1, bf16: false}\nlora: {r: 4}\n");
  GetParam().spoil(folder_);
  TrainProcess process(folder_, {"sft", "-c", "run.yaml"});
  EXPECT_EQ(process.wait(), GetParam().code) << process.err();
  for (const std::string& words : GetParam().says) {
    EXPECT_NE(process.err().find(words), std::string::npos) << words << " in: " << process.err();
  }
  EXPECT_EQ(process.out(), "");
  EXPECT_FALSE(fs::exists(folder_ / "outputs/bad/adapter"));

  // Where the run had begun, its last event says the same.
  const Result<std::string> events = read_file(folder_ / "outputs/bad/events.jsonl");
  if (!events) return;
  const std::size_t start = events->rfind('\n', events->size() - 2) + 1;
  const auto last =
      parse_event(std::string_view(*events).substr(start, events->size() - 1 - start));
  ASSERT_TRUE(last && *last);
  EXPECT_TRUE(std::holds_alternative<FailedEvent>((*last)->body)) << *events;
}

INSTANTIATE_TEST_SUITE_P(All, BadInputTest, testing::ValuesIn(bad_inputs()),
                         [](const auto& input) { return std::string(input.param.name); });

TEST_F(TestFolder, AScriptGetsTheSameAsOneLineOfJson) {
  TrainProcess process(folder_, {"sft", "--run-dir", "nowhere", "--json"});
  EXPECT_EQ(process.wait(), 5);
  const auto json = parse_json(process.err(), "stderr");
  ASSERT_TRUE(json) << process.err();
  EXPECT_EQ(json->at("ok"), false);
  EXPECT_EQ(json->at("error").at("exit_code"), 5);
  EXPECT_EQ(process.out(), "");
}

}  // namespace
}  // namespace mayfly
