// What makes a run repeatable: the same seed must give the same bits, whatever was done between.
#include "trainer/step.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"
#include "trainer/optim/adamw.h"

namespace mayfly {
namespace {

StepResult step(const Transformer& model, LoraAdapter& adapter, AdamW& optimizer,
                std::int64_t number) {
  const std::vector<PackedBatch> batches = {
      tiny_batch({9, 14}, 20 + static_cast<std::uint64_t>(number)), tiny_batch({5}, 7)};
  return train_step(model, adapter, optimizer, batches,
                    {.learning_rate = 0.01, .max_grad_norm = 1.0, .seed = 3, .step = number});
}

TEST(StepTest, LossGoesDown) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter();
  AdamW optimizer({}, adapter.values());
  const std::vector<PackedBatch> batch = {tiny_batch({20, 20})};
  const auto once = [&] {
    return train_step(model, adapter, optimizer, batch,
                      {.learning_rate = 0.02, .max_grad_norm = 1.0});
  };
  const double first = once().loss;
  for (int i = 0; i < 30; ++i) once();
  EXPECT_LT(once().loss, 0.7 * first);
}

TEST(StepTest, MicroBatchesCountByTheirSupervisedTokens) {
  const Transformer model = tiny_model();
  const std::vector<PackedBatch> apart = {tiny_batch({30}, 1), tiny_batch({4}, 2)};
  LoraAdapter adapter = tiny_adapter();
  AdamW optimizer({}, adapter.values());
  const double sum = model.loss_sum(apart[0], &adapter) + model.loss_sum(apart[1], &adapter);
  const StepResult result =
      train_step(model, adapter, optimizer, apart, {.learning_rate = 0, .max_grad_norm = 0});
  EXPECT_EQ(result.supervised, apart[0].supervised() + apart[1].supervised());
  EXPECT_EQ(result.tokens, 34);
  EXPECT_NEAR(result.loss * static_cast<double>(result.supervised) / sum, 1.0, 1e-12);
}

TEST(StepTest, SameSeedSameBitsWithDropoutAndInBfloat16) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Transformer model = tiny_model(type);
    LoraAdapter a = tiny_adapter(type, {"all-linear"}, 0.2),
                b = tiny_adapter(type, {"all-linear"}, 0.2);
    AdamW for_a({}, a.values()), for_b({}, b.values());
    for (std::int64_t i = 0; i < 4; ++i) {
      const StepResult result_a = step(model, a, for_a, i);
      at::rand({100});  // somebody else's random numbers must not matter
      const StepResult result_b = step(model, b, for_b, i);
      EXPECT_EQ(result_a.loss, result_b.loss) << i;
      EXPECT_EQ(result_a.grad_norm, result_b.grad_norm) << i;
    }
    EXPECT_TRUE(a.values().equal(b.values()));
  }
}

TEST(StepTest, UpdatesNothingWhenTheLossIsNoNumber) {
  const Transformer model = tiny_model();
  LoraAdapter adapter = tiny_adapter();
  AdamW optimizer({}, adapter.values());
  adapter.values()[0] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor before = adapter.values().clone();
  EXPECT_FALSE(step(model, adapter, optimizer, 0).finite);
  EXPECT_TRUE(adapter.values().slice(0, 1).equal(before.slice(0, 1)));
  EXPECT_EQ(optimizer.steps(), 0);
}

}  // namespace
}  // namespace mayfly
