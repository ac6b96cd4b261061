// The backward pass is written by hand: a term that is forgotten, a transposed factor or a document
// that sees its neighbour still gives plausible losses. So everything is held against a slow second
// way (tests/trainer/tiny_llama.h) that shares no code with it.
#include "trainer/nn/transformer.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"

namespace mayfly {
namespace {

// Float32 has 2^-24 a rounding; some hundred of them add up here. Faults found were above 1e-2.
constexpr double kFloatTolerance = 2e-5;

class TransformerGradientTest : public testing::TestWithParam<std::vector<std::string>> {};

void expect_gradients_of_reference(const Transformer& model, LoraAdapter adapter) {
  const PackedBatch batch = tiny_batch({7, 12, 1, 2, 20});
  const ReferenceDecoder reference(model, &adapter);
  const at::Tensor right = reference.loss_sum(batch) * 0.5;
  right.backward();

  const double loss = model.accumulate_gradients(batch, adapter, {.loss_scale = 0.5});
  EXPECT_NEAR(0.5 * loss / right.item<double>(), 1.0, 1e-6);
  EXPECT_EQ(loss, model.loss_sum(batch, &adapter));
  for (const NamedTensor& tensor : adapter.named(adapter.gradients())) {
    const at::Tensor& expected = reference.factors().at(tensor.name).grad();
    EXPECT_LT(relative_difference(tensor.value, expected), kFloatTolerance) << tensor.name;
    EXPECT_GT(expected.abs().max().item<double>(), 0.0) << tensor.name;
  }
}

TEST_P(TransformerGradientTest, LossAndGradientsAreThoseOfTheReference) {
  expect_gradients_of_reference(tiny_model(), tiny_adapter(at::kFloat, GetParam()));
}

TEST_P(TransformerGradientTest, TheyAreWithMagnitudes) {
  const Transformer model = tiny_model();
  expect_gradients_of_reference(model, tiny_dora(model, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Targets, TransformerGradientTest,
                         testing::Values(std::vector<std::string>{"all-linear"},
                                         std::vector<std::string>{"q_proj", "v_proj"},
                                         std::vector<std::string>{"k_proj", "up_proj"},
                                         std::vector<std::string>{"o_proj", "down_proj"}));

TEST(TransformerTest, LogitsAreThoseOfTheReference) {
  const Transformer model = tiny_model();
  const LoraAdapter adapter = tiny_adapter();
  const PackedBatch batch = tiny_batch({5, 9});
  for (const LoraAdapter* with : {&adapter, static_cast<const LoraAdapter*>(nullptr)}) {
    const at::Tensor right = ReferenceDecoder(model, with).logits(batch);
    EXPECT_LT(relative_difference(model.logits(batch, with), right), 1e-6);
  }
}

// What is made again is the same, to the last bit, so a run may change its mind about it.
TEST(TransformerTest, CheckpointingChangesNothing) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.3);
  const PackedBatch batch = tiny_batch({9, 6, 14});
  const auto gradient = [&](Checkpointing checkpointing) {
    adapter.gradients().zero_();
    model.accumulate_gradients(batch, adapter, {.dropout_seed = 5, .checkpointing = checkpointing});
    return adapter.gradients().clone();
  };
  const at::Tensor kept = gradient(Checkpointing::off);
  EXPECT_GT(kept.abs().max().item<float>(), 0.0f);
  EXPECT_TRUE(gradient(Checkpointing::feed_forward).equal(kept));
  EXPECT_TRUE(gradient(Checkpointing::blocks).equal(kept));
}

TEST(TransformerTest, AddsGradientsToThoseThatAreThere) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter();
  const PackedBatch batch = tiny_batch({9, 6});
  model.accumulate_gradients(batch, adapter, {});
  const at::Tensor once = adapter.gradients().clone();
  model.accumulate_gradients(batch, adapter, {});
  EXPECT_LT(relative_difference(adapter.gradients(), once * 2), 1e-6);
}

TEST(TransformerTest, PackedDocumentsDoNotSeeEachOther) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter();
  model.accumulate_gradients(tiny_batch({8, 11}), adapter, {});
  const at::Tensor together = adapter.gradients().clone();
  adapter.gradients().zero_();

  // The same two documents, one a batch: tiny_batch draws them in order from one stream.
  const PackedBatch both = tiny_batch({8, 11});
  double loss = 0;
  for (std::size_t d = 1; d < both.starts.size(); ++d) {
    std::vector<std::int32_t> tokens;
    std::vector<std::uint8_t> trained;
    for (std::int64_t row = both.starts[d - 1]; row < both.starts[d]; ++row) {
      tokens.push_back(both.tokens[row].item<std::int32_t>());
      trained.push_back((both.loss_rows == row - 1).any().item<bool>());
    }
    const DocumentView view{tokens, trained};
    loss += model.accumulate_gradients(pack({&view, 1}, at::kCPU), adapter, {});
  }
  EXPECT_NEAR(loss / model.loss_sum(both, &adapter), 1.0, 1e-6);
  EXPECT_LT(relative_difference(adapter.gradients(), together), kFloatTolerance);
}

TEST(TransformerTest, ABatchWithoutSupervisedTokensGivesNothing) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter();
  const PackedBatch batch = tiny_batch({1, 1});
  ASSERT_EQ(batch.supervised(), 0);
  EXPECT_EQ(model.accumulate_gradients(batch, adapter, {}), 0.0);
  EXPECT_EQ(adapter.gradients().abs().max().item<float>(), 0.0f);
}

TEST(TransformerTest, RoundsToBfloat16AndStaysClose) {
  const Transformer model = tiny_model(at::kBFloat16);
  LoraAdapter adapter = tiny_adapter(at::kBFloat16);
  const PackedBatch batch = tiny_batch({7, 12, 20});
  const ReferenceDecoder reference(model, &adapter);
  const at::Tensor right = reference.loss_sum(batch);
  right.backward();
  const double loss = model.accumulate_gradients(batch, adapter, {});
  EXPECT_NEAR(loss / right.item<double>(), 1.0, 0.01);  // 2^-9 a rounding, some dozen in a row
  double dot = 0, ours = 0, theirs = 0;
  for (const NamedTensor& tensor : adapter.named(adapter.gradients())) {
    const at::Tensor g = tensor.value.to(at::kDouble);
    const at::Tensor r = reference.factors().at(tensor.name).grad();
    dot += (g * r).sum().item<double>();
    ours += g.square().sum().item<double>();
    theirs += r.square().sum().item<double>();
  }
  EXPECT_GT(dot / std::sqrt(ours * theirs), 0.995);  // the cosine of the angle between them
  EXPECT_EQ(adapter.gradients().scalar_type(), at::kFloat);
}

TEST(TransformerTest, GradientUnderDropoutIsTheSlopeOfTheSameDraw) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter(at::kFloat, {"all-linear"}, 0.3);
  const PackedBatch batch = tiny_batch({12, 15});
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

  adapter.values().copy_(start);
  EXPECT_NE(model.accumulate_gradients(batch, adapter, {.dropout_seed = 12}), loss_at(0));
}

}  // namespace
}  // namespace mayfly
