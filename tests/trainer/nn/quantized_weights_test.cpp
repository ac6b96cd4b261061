// Weights quantised while they are loaded, and weights that a checkpoint has in four bits: the
// loader believes nothing a file says of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/nf4_code.h"
#include "tests/trainer/test_folder.h"
#include "tests/trainer/tiny_llama.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/nn/stored_nf4.h"
#include "trainer/nn/transformer.h"
#include "trainer/nn/weights.h"

namespace mayfly {
namespace {

using testing::HasSubstr;

class QuantizedWeightsTest : public TestFolder {
 protected:
  QuantizedWeightsTest() {
    // Matrices of several pages of the file.
    write_tiny_model(folder_, {.width = 64,
                               .layers = 2,
                               .heads = 4,
                               .kv_heads = 2,
                               .head_width = 16,
                               .ff_width = 160,
                               .vocabulary = 400});
  }
  DecoderWeights load(const QuantConfig& quant, at::ScalarType type = at::kFloat) {
    const Result<Architecture> architecture = read_architecture(folder_);
    Result<DecoderWeights> weights = load_weights(folder_, *architecture, {at::kCPU, type, quant});
    EXPECT_TRUE(weights) << weights.error().message;
    return std::move(*weights);
  }
};

TEST_F(QuantizedWeightsTest, AreTheWeightsAsFarAsFourBitsGo) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const DecoderWeights dense = load({}, type);
    const DecoderWeights quantized = load({.bits = QuantBits::four}, type);
    EXPECT_TRUE(quantized.embedding.equal(dense.embedding));
    EXPECT_TRUE(quantized.head.equal(dense.head));
    for (std::size_t layer = 0; layer < dense.blocks.size(); ++layer) {
      for (const Projection projection : kProjections) {
        const at::Tensor right = dense.blocks[layer][projection].matrix();
        const FrozenWeight& got = quantized.blocks[layer][projection];
        const FrozenWeight alone(nf4_quantize(right, true), at::empty({right.numel()}, type));
        EXPECT_TRUE(got.matrix().equal(alone.matrix())) << layer << projection_name(projection);
        EXPECT_LT(relative_difference(got.matrix(), right), 0.16);
        EXPECT_LT(got.bytes(), right.numel() * 9 / 16 + 1100);  // and the table of the scales
      }
    }
  }
}

// The scratch is shared by all weights, so each product must come before the next restoring:
// loss and gradients are those of a model that has the restored weights for itself.
TEST_F(QuantizedWeightsTest, TrainAsTheSameWeightsUnpackedDo) {
  const Result<Architecture> architecture = read_architecture(folder_);
  DecoderWeights restored = load({.bits = QuantBits::four});
  for (BlockWeights& block : restored.blocks) {
    for (const Projection projection : kProjections) {
      FrozenWeight& weight = block.projections[static_cast<std::size_t>(projection)];
      weight = weight.matrix().clone();
    }
  }
  const Transformer unpacked(*architecture, std::move(restored));
  const Transformer packed(*architecture, load({.bits = QuantBits::four}));
  const LoraShape shape{.rank = 4,
                        .alpha = 8,
                        .dropout = 0.1,
                        .use_rslora = false,
                        .targets = *projections_named({"all-linear"}, Architecture())};
  LoraAdapter adapter = LoraAdapter::create(*architecture, shape, 5, at::kCPU, at::kFloat);
  adapter.values().normal_(0.0, 0.1, seeded_generator(at::kCPU, 4));
  adapter.refresh();
  const PackedBatch batch = tiny_batch({9, 20});
  const auto gradients = [&](const Transformer& model) {
    adapter.gradients().zero_();
    model.accumulate_gradients(batch, adapter, {.dropout_seed = 3});
    return adapter.gradients().clone();
  };
  EXPECT_EQ(packed.loss_sum(batch, &adapter), unpacked.loss_sum(batch, &adapter));
  EXPECT_TRUE(gradients(packed).equal(gradients(unpacked)));
}

// One weight as bitsandbytes stores it, and ways in which a file can be wrong about it.
class StoredNf4Test : public TestFolder {
 protected:
  StoredNf4Test() {
    const at::Tensor weight = random_tensor({6, 70}, 0.02, 1);
    made_ = nf4_quantize(weight, true);
    state_ = R"({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [6, 70],)"
             R"( "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.5})";
    made_.offset.fill_(0.5);
    code_ = at::empty({16}, at::kFloat);
    for (int i = 0; i < 16; ++i) code_[i] = cuda::kNf4Code.at[i];
  }

  Result<Nf4Weight> read() {
    const auto text = at::empty({static_cast<std::int64_t>(state_.size())}, at::kByte);
    std::copy(state_.begin(), state_.end(), text.mutable_data_ptr<std::uint8_t>());
    std::vector<StoredTensor> stored;
    const auto add = [&](const char* suffix, const at::Tensor& tensor) {
      if (tensor.defined()) stored.push_back(bytes_view(std::string("w") + suffix, tensor));
    };
    add("", made_.packed);
    add(".absmax", made_.quantized);
    add(".nested_absmax", made_.scale);
    add(".nested_quant_map", made_.code);
    add(".quant_map", code_);
    add(".quant_state.bitsandbytes__nf4", text);
    EXPECT_TRUE(write_safetensors(folder_ / "model.safetensors", stored));
    const Result<SafetensorsModel> files = SafetensorsModel::open(folder_);
    EXPECT_TRUE(files) << files.error().message;
    EXPECT_TRUE(has_stored_nf4(*files, "w"));
    EXPECT_FALSE(has_stored_nf4(*files, "v"));
    return read_stored_nf4(*files, "w", 6, 70);
  }
  static StoredTensor bytes_view(std::string name, const at::Tensor& tensor) {
    const auto size = static_cast<std::size_t>(tensor.numel() * tensor.element_size());
    return {std::move(name),
            tensor.scalar_type() == at::kByte ? TensorType::u8 : TensorType::f32,
            tensor.sizes().vec(),
            {static_cast<const std::byte*>(tensor.data_ptr()), size}};
  }
  void replace(const std::string& from, const std::string& to) {
    state_.replace(state_.find(from), from.size(), to);
  }
  void expect_refusal(const char* words) {
    const Result<Nf4Weight> got = read();
    ASSERT_FALSE(got);
    EXPECT_THAT(got.error().message, HasSubstr(words));
  }

  Nf4Weight made_;
  at::Tensor code_;
  std::string state_;
};

TEST_F(StoredNf4Test, ReadsWhatIsThere) {
  const Result<Nf4Weight> got = read();
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_TRUE(got->packed.equal(made_.packed));
  EXPECT_TRUE(got->quantized.equal(made_.quantized));
  EXPECT_TRUE(got->scale.equal(made_.scale));
  EXPECT_TRUE(got->offset.equal(made_.offset));
  EXPECT_EQ(got->block, 64);
}

TEST_F(StoredNf4Test, RefusesAMissingPart) {
  made_.scale.reset();
  expect_refusal("w.nested_absmax\" is missing");
}

TEST_F(StoredNf4Test, RefusesAPartOfAnotherSize) {
  made_.packed = made_.packed.narrow(0, 0, 209);
  expect_refusal("should be 210 x U8, and is 209 x U8");
}

TEST_F(StoredNf4Test, RefusesAPartOfAnotherType) {
  made_.quantized = made_.quantized.to(at::kFloat);
  expect_refusal("w.absmax\" should be 7 x U8, and is 7 x F32");
}

TEST_F(StoredNf4Test, RefusesAnotherShape) {
  replace("[6, 70]", "[70, 6]");
  expect_refusal("is not of shape (6, 70)");
}

TEST_F(StoredNf4Test, RefusesAnotherTable) {
  code_[3] = -0.4f;
  expect_refusal("is not NF4's");
}

TEST_F(StoredNf4Test, RefusesOtherBlocks) {
  replace("64", "63");
  expect_refusal("power of two");
  replace("63", "64");
  replace("256", "128");
  expect_refusal("blocks of 256");
  replace("128", "256");
  replace("0.5", "\"x\"");
  expect_refusal("no number");
}

TEST_F(StoredNf4Test, RefusesWhatIsNoJson) {
  state_ = "{";
  EXPECT_FALSE(read());
  state_ = "[]";
  expect_refusal("no JSON object");
}

}  // namespace
}  // namespace mayfly
