// An adapter that is read a little wrong (a pattern overlooked, one tensor too few) changes the
// model silently; so everything outside plain LoRA must be refused.
#include "trainer/nn/lora.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"
#include "trainer/nn/stored_tensor.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

LoraShape all_linear(std::int64_t rank) {
  return {.rank = rank,
          .alpha = 8,
          .dropout = 0,
          .use_rslora = false,
          .targets = *projections_named({"all-linear"}, Architecture())};
}

TEST(LoraShapeTest, ScaleIsAlphaOverRankOrItsRoot) {
  LoraShape shape{.rank = 16, .alpha = 32, .dropout = 0, .use_rslora = false, .targets = {}};
  EXPECT_EQ(shape.scale(), 2.0);
  shape.use_rslora = true;
  EXPECT_EQ(shape.scale(), 8.0);
}

TEST(LoraAdapterTest, StartsWithAUniformAAndAZeroB) {
  const Architecture architecture = tiny_architecture();
  const auto adapter = LoraAdapter::create(architecture, all_linear(8), 42, at::kCPU, at::kFloat);
  const auto tensors = adapter.named(adapter.values());
  ASSERT_EQ(tensors.size(), 3u * 7u * 2u);
  for (const NamedTensor& tensor : tensors) {
    const double largest = tensor.value.abs().max().item<double>();
    if (tensor.name.find("lora_B") != std::string::npos) {
      EXPECT_EQ(largest, 0.0) << tensor.name;
    } else {
      // U(-b, b) with b = 1/sqrt(inputs): the largest of over a hundred draws comes near b.
      const double bound = 1.0 / std::sqrt(static_cast<double>(tensor.value.size(1)));
      EXPECT_LE(largest, bound) << tensor.name;
      EXPECT_GT(largest, 0.9 * bound) << tensor.name;
    }
  }
}

TEST(LoraAdapterTest, TheSeedAloneMakesIt) {
  const auto make = [](std::uint64_t seed) {
    return LoraAdapter::create(tiny_architecture(), all_linear(4), seed, at::kCPU, at::kFloat);
  };
  EXPECT_TRUE(make(1).values().equal(make(1).values()));
  EXPECT_FALSE(make(1).values().equal(make(2).values()));
}

TEST(LoraAdapterTest, NamesAreInTheOrderOfPeftAndCoverTheBufferOnce) {
  const auto adapter =
      LoraAdapter::create(tiny_architecture(), all_linear(2), 1, at::kCPU, at::kFloat);
  const at::Tensor counts = at::zeros_like(adapter.values());
  const auto tensors = adapter.named(counts);
  EXPECT_EQ(tensors[0].name, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
  EXPECT_EQ(tensors[1].name, "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight");
  EXPECT_EQ(tensors[2].name, "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight");
  EXPECT_EQ(tensors.back().name, "base_model.model.model.layers.2.mlp.down_proj.lora_B.weight");
  for (const NamedTensor& tensor : tensors) tensor.value.add_(1);
  EXPECT_TRUE(counts.eq(1).all().item<bool>());
}

class AdapterFolderTest : public testing::Test {
 protected:
  AdapterFolderTest()
      : folder_(fs::temp_directory_path() / ("mayfly-ad-" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~AdapterFolderTest() override {
    fs::remove_all(folder_);
  }
  void config(const std::string& more) {
    std::ofstream(folder_ / "adapter_config.json")
        << R"({"peft_type": "LORA", "r": 3, "lora_alpha": 6, "bias": "none", "loftq_config": {},)"
        << R"("target_modules": ["up_proj", "q_proj"], "use_dora": false)" << more << "}";
  }
  void weights(const LoraAdapter& adapter, std::size_t leave_out = 0) {
    std::vector<StoredTensor> stored;
    const auto named = adapter.named(adapter.values());
    for (std::size_t i = leave_out; i < named.size(); ++i) {
      stored.push_back(stored_view(named[i].name, named[i].value));
    }
    ASSERT_TRUE(write_safetensors(folder_ / "adapter_model.safetensors", stored));
  }
  Result<LoraAdapter> read() {
    return LoraAdapter::read(tiny_architecture(), folder_, at::kCPU, at::kBFloat16);
  }
  Error refusal_of(const std::string& more) {
    config(more);
    const auto shape = read_lora_shape(folder_, tiny_architecture());
    return shape ? Error{ErrorKind::internal, "accepted"} : shape.error();
  }
  fs::path folder_;
};

TEST_F(AdapterFolderTest, ReadsBackWhatWasWritten) {
  const LoraAdapter adapter = tiny_adapter(at::kFloat, {"q_proj", "up_proj"});
  config("");
  weights(adapter);
  const auto again = read();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->values().equal(adapter.values()));
  EXPECT_EQ(again->shape().targets, adapter.shape().targets);
  EXPECT_EQ(again->shape().scale(), 2.0);
}

TEST_F(AdapterFolderTest, RefusesWhatIsNotPlainLora) {
  EXPECT_EQ(refusal_of(R"(, "peft_version": "0.21.2", "exclude_modules": null)").message,
            "accepted");
  for (const char* more :
       {R"(, "rank_pattern": {"q_proj": 8})", R"(, "layers_to_transform": [1])",
        R"(, "modules_to_save": ["lm_head"])", R"(, "lora_bias": true)", R"(, "some_new_idea": 3)",
        R"(, "init_lora_weights": "pissa_niter_4")"}) {
    EXPECT_EQ(refusal_of(more).kind, ErrorKind::unsupported) << more;
  }
}

TEST_F(AdapterFolderTest, RefusesWeightsThatDoNotFitTheConfig) {
  config("");
  weights(tiny_adapter(at::kFloat, {"q_proj", "up_proj"}), /*leave_out=*/1);
  EXPECT_THAT(read().error().message, HasSubstr("q_proj.lora_A.weight\" is missing"));
  weights(tiny_adapter(at::kFloat, {"q_proj", "up_proj", "o_proj"}));
  EXPECT_EQ(read().error().kind, ErrorKind::unsupported);
  const auto other_rank =
      LoraAdapter::create(tiny_architecture(),
                          {.rank = 4,
                           .alpha = 6,
                           .dropout = 0,
                           .use_rslora = false,
                           .targets = *projections_named({"q_proj", "up_proj"}, Architecture())},
                          1, at::kCPU, at::kFloat);
  weights(other_rank);
  EXPECT_THAT(read().error().message, HasSubstr("does not fit"));
}

}  // namespace
}  // namespace mayfly
