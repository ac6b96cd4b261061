// What families do differently - biases, norms, windows, fused weights, multipliers - has a
// gradient of its own, is made again with checkpointing, and stands a second time in generate.cpp.
// Whether it is the published models' arithmetic is the matter of oracle.families.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "tests/trainer/test_folder.h"
#include "tests/trainer/tiny_llama.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/nn/generate.h"

namespace mayfly {
namespace {

using testing::HasSubstr;

Transformer made(const Architecture& architecture) {
  return Transformer(architecture, tiny_weights(architecture, at::kFloat));
}

class FamiliesTest : public testing::TestWithParam<std::string> {
 protected:
  Architecture architecture() const {
    return tiny_families().at(GetParam());
  }
};

// Central differences in float32: a forgotten term shows in the second digit.
TEST_P(FamiliesTest, TheGradientIsTheSlope) {
  const Transformer model = made(architecture());
  LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.3, architecture());
  const PackedBatch batch = tiny_batch({12, 15, 1, 4});
  const GradientSettings draw{.loss_scale = 1.0, .dropout_seed = 11};
  model.accumulate_gradients(batch, adapter, draw);
  const at::Tensor gradient = adapter.gradients().clone();
  const at::Tensor direction = gradient / gradient.norm();
  const at::Tensor start = adapter.values().clone();
  const auto loss_at = [&](double distance) {
    adapter.values().copy_(start + direction * distance);
    return model.accumulate_gradients(batch, adapter, draw);
  };
  const double slope = (loss_at(1e-3) - loss_at(-1e-3)) / 2e-3;
  EXPECT_NEAR(slope / gradient.norm().item<double>(), 1.0, 5e-3);
  for (const NamedTensor& tensor : adapter.named(gradient)) {
    EXPECT_GT(tensor.value.abs().max().item<double>(), 0.0) << tensor.name;
  }
}

TEST_P(FamiliesTest, CheckpointingChangesNothing) {
  const Transformer model = made(architecture());
  LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.3, architecture());
  const PackedBatch batch = tiny_batch({9, 6, 14});
  const auto gradient = [&](Checkpointing checkpointing) {
    adapter.gradients().zero_();
    model.accumulate_gradients(batch, adapter, {.dropout_seed = 5, .checkpointing = checkpointing});
    return adapter.gradients().clone();
  };
  const at::Tensor kept = gradient(Checkpointing::off);
  EXPECT_TRUE(gradient(Checkpointing::feed_forward).equal(kept));
  EXPECT_TRUE(gradient(Checkpointing::blocks).equal(kept));
}

TEST_P(FamiliesTest, GeneratesWhatTheWholeForwardPassWould) {
  const Transformer model = made(architecture());
  const LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.0, architecture());
  std::vector<std::int32_t> text = {3, 14, 15, 9, 26, 5, 8};
  const std::size_t prompt = text.size();
  const auto got = generate(model, &adapter, text, {}, {.max_new_tokens = 12});
  for (int i = 0; i < 12; ++i) {
    const std::vector<std::uint8_t> trained(text.size(), 0);
    const DocumentView view{text, trained};
    text.push_back(
        model.logits(pack({&view, 1}, at::kCPU), &adapter)[-1].argmax().item<std::int32_t>());
  }
  EXPECT_EQ(got, std::vector<std::int32_t>(text.begin() + std::ptrdiff_t(prompt), text.end()));
}

// Also where the length of a document changes its angles.
TEST_P(FamiliesTest, PackedDocumentsAreWhatTheyAreAlone) {
  const Transformer model = made(architecture());
  const LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.0, architecture());
  const PackedBatch batch = tiny_batch({12, 15, 1, 4});
  const at::Tensor together = model.logits(batch, &adapter);
  for (std::size_t d = 1; d < batch.starts.size(); ++d) {
    const std::int64_t first = batch.starts[d - 1], count = batch.starts[d] - first;
    std::vector<std::int32_t> tokens;
    for (std::int64_t row = first; row < first + count; ++row) {
      tokens.push_back(batch.tokens[row].item<std::int32_t>());
    }
    const std::vector<std::uint8_t> trained(tokens.size(), 1);
    const DocumentView view{tokens, trained};
    const at::Tensor alone = model.logits(pack({&view, 1}, at::kCPU), &adapter);
    EXPECT_LT(relative_difference(alone, together.narrow(0, first, count)), 1e-5) << d;
  }
}

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& [name, architecture] : tiny_families()) found.push_back(name);
  return found;
}

INSTANTIATE_TEST_SUITE_P(All, FamiliesTest, testing::ValuesIn(names()),
                         [](const auto& instance) { return instance.param; });

class FamilyWeightsTest : public TestFolder {
 protected:
  FamilyWeightsTest() {
    write_tiny_model(folder_);
  }
  Error refusal() {
    const Result<Architecture> architecture = read_architecture(folder_);
    if (!architecture) return architecture.error();
    const auto weights = load_weights(folder_, *architecture, {});
    return weights ? Error{ErrorKind::internal, "accepted"} : weights.error();
  }
  // Puts `to` in place of `from` in config.json.
  void change(const std::string& from, const std::string& to) {
    std::string text = *read_file(folder_ / "config.json");
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    ASSERT_TRUE(write_file(folder_ / "config.json", text.replace(at, from.size(), to)));
  }
};

TEST_F(FamilyWeightsTest, ABiasThatConfigPromisesMustBeThere) {
  change(R"("model_type":"llama")", R"("model_type":"qwen2")");
  EXPECT_THAT(refusal().message, HasSubstr("q_proj.bias\" is missing"));
}

TEST_F(FamilyWeightsTest, ABiasThatNobodyAskedForIsNotLeftOut) {
  const Result<SafetensorsFile> file = SafetensorsFile::open(folder_ / "model.safetensors");
  ASSERT_TRUE(file);
  std::vector<StoredTensor> tensors = file->tensors();
  const StoredTensor* const norm = file->find("model.layers.0.input_layernorm.weight");
  ASSERT_NE(norm, nullptr);
  tensors.push_back(*norm);
  tensors.back().name = "model.layers.0.self_attn.o_proj.bias";
  ASSERT_TRUE(write_safetensors(folder_ / "other.safetensors", tensors));
  std::filesystem::rename(folder_ / "other.safetensors", folder_ / "model.safetensors");
  EXPECT_EQ(refusal().kind, ErrorKind::unsupported);
  EXPECT_THAT(refusal().message, HasSubstr("o_proj.bias"));
}

}  // namespace
}  // namespace mayfly
