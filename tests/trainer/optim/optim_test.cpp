// The learning rate and the update are what a run's result hangs on, and a wrong one still trains.
#include <cmath>
#include <limits>

#include <ATen/ops/linalg_svdvals.h>
#include <gtest/gtest.h>

#include "core/config/run_config.h"
#include "tests/trainer/tiny_llama.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/clip.h"
#include "trainer/optim/muon.h"
#include "trainer/optim/schedule.h"
#include "trainer/optim/sgd.h"

namespace mayfly {
namespace {

TEST(ScheduleTest, WarmsUpFromZeroAndFallsAsACosine) {
  const Schedule s{
      .kind = LrScheduler::cosine, .peak = 1.0, .floor = 0.2, .warmup = 4, .steps = 14};
  EXPECT_EQ(learning_rate_at(s, 0), 0.0);
  EXPECT_EQ(learning_rate_at(s, 1), 0.25);
  EXPECT_EQ(learning_rate_at(s, 3), 0.75);
  EXPECT_EQ(learning_rate_at(s, 4), 1.0);
  EXPECT_NEAR(learning_rate_at(s, 9), 0.6, 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 13), 0.2 + 0.8 * 0.5 * (1 + std::cos(M_PI * 0.9)), 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 14), 0.2, 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 99), 0.2, 1e-12);
}

TEST(ScheduleTest, FallsInALineOrNotAtAll) {
  Schedule s{.kind = LrScheduler::linear, .peak = 1.0, .floor = 0.0, .warmup = 0, .steps = 10};
  EXPECT_EQ(learning_rate_at(s, 0), 1.0);
  EXPECT_NEAR(learning_rate_at(s, 9), 0.1, 1e-12);
  s.kind = LrScheduler::constant;
  EXPECT_EQ(learning_rate_at(s, 9), 1.0);
  s = {.kind = LrScheduler::constant_with_warmup, .peak = 1.0, .warmup = 2, .steps = 10};
  EXPECT_EQ(learning_rate_at(s, 1), 0.5);
  EXPECT_EQ(learning_rate_at(s, 9), 1.0);
}

TEST(ScheduleTest, StaysAndThenFalls) {
  Schedule s{
      .kind = LrScheduler::wsd, .peak = 1.0, .floor = 0.2, .warmup = 2, .decay = 4, .steps = 10};
  EXPECT_EQ(learning_rate_at(s, 1), 0.5);
  for (const std::int64_t step : {2, 5, 6}) EXPECT_EQ(learning_rate_at(s, step), 1.0) << step;
  EXPECT_NEAR(learning_rate_at(s, 8), 0.6, 1e-12);
  EXPECT_NEAR(learning_rate_at(s, 10), 0.2, 1e-12);
  s.decay = 0;
  EXPECT_EQ(learning_rate_at(s, 9), 1.0);

  TrainConfig config;
  config.lr_scheduler = LrScheduler::wsd;
  config.decay_ratio = 0.25;
  EXPECT_EQ(make_schedule(config, 10).decay, 3);  // ceil
  config.warmup_steps = 8;
  EXPECT_EQ(make_schedule(config, 10).decay, 2);  // what the warm-up leaves
}

TEST(ScheduleTest, StandsARunOfNothingButWarmUp) {
  const Schedule s{.kind = LrScheduler::cosine, .peak = 1.0, .floor = 0, .warmup = 5, .steps = 5};
  EXPECT_EQ(learning_rate_at(s, 4), 0.8);
  EXPECT_EQ(learning_rate_at(s, 5), 1.0);
}

TEST(ScheduleTest, WarmUpComesFromStepsOrShareAndNotForConstant) {
  TrainConfig config;
  config.warmup_ratio = 0.03;
  EXPECT_EQ(make_schedule(config, 101).warmup, 4);  // ceil, as transformers
  config.warmup_ratio.reset();
  config.warmup_steps = 7;
  EXPECT_EQ(make_schedule(config, 101).warmup, 7);
  config.lr_scheduler = LrScheduler::constant;
  EXPECT_EQ(make_schedule(config, 101).warmup, 0);
}

TEST(AdamWTest, MakesTheStepsOfItsFormula) {
  const AdamWSettings settings{.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1};
  const at::Tensor values = random_tensor({1001}, 1.0, 1);
  at::Tensor v = values.to(at::kDouble), m = at::zeros_like(v), s = at::zeros_like(v);
  AdamW optimizer(settings, values);
  for (int t = 1; t <= 5; ++t) {
    const at::Tensor gradient = random_tensor({1001}, 1.0, 10 + static_cast<std::uint64_t>(t));
    const at::Tensor g = gradient.to(at::kDouble);
    const double rate = 0.01 * t;
    optimizer.step(values, gradient, rate);
    m = 0.8 * m + 0.2 * g;
    s = 0.95 * s + 0.05 * g * g;
    v = v * (1 - rate * 0.1) -
        rate * (m / (1 - std::pow(0.8, t))) / ((s / (1 - std::pow(0.95, t))).sqrt() + 1e-6);
  }
  EXPECT_LT(relative_difference(values, v), 1e-6);
  EXPECT_EQ(optimizer.steps(), 5);
}

TEST(SgdTest, MakesTheStepsOfItsFormula) {
  const at::Tensor values = random_tensor({501}, 1.0, 1);
  at::Tensor v = values.to(at::kDouble), m = at::zeros_like(v);
  Sgd optimizer({.momentum = 0.9, .weight_decay = 0.1}, values);
  for (int t = 1; t <= 5; ++t) {
    const at::Tensor gradient = random_tensor({501}, 1.0, 10 + static_cast<std::uint64_t>(t));
    optimizer.step(values, gradient, 0.01 * t);
    m = 0.9 * m + gradient.to(at::kDouble) + 0.1 * v;
    v = v - 0.01 * t * m;
  }
  EXPECT_LT(relative_difference(values, v), 1e-6);
}

// Each matrix moves by about the same in every direction that its gradient has, however unequal
// they are in the gradient.
TEST(MuonTest, MovesEachMatrixAlikeInEveryDirection) {
  const at::Tensor values = at::zeros({2 * 4 * 30});
  const std::vector<at::Tensor> matrices = {values.narrow(0, 0, 120).view({4, 30}),
                                            values.narrow(0, 120, 120).view({30, 4})};
  const at::Tensor gradients = at::zeros_like(values);
  gradients.narrow(0, 0, 120).view({4, 30}).copy_(
      random_tensor({4, 30}, 1.0, 1) * at::tensor({1.0f, 10.0f, 0.5f, 3.0f}).unsqueeze(1));
  gradients.narrow(0, 120, 120).copy_(random_tensor({120}, 0.01, 2));
  Muon({}, values, matrices).step(values, gradients, 0.1);
  for (const at::Tensor& matrix : matrices) {
    const at::Tensor moved = at::linalg_svdvals(matrix) / (0.1 * 0.2 * std::sqrt(30.0));
    EXPECT_GT(moved.min().item<double>(), 0.6);
    EXPECT_LT(moved.max().item<double>(), 1.3);
    EXPECT_LT((matrix * gradients.narrow(0, matrix.storage_offset(), 120).view(matrix.sizes()))
                  .sum()
                  .item<double>(),
              0);  // against the gradient
  }
}

TEST(MuonTest, StandsAGradientOfZero) {
  const at::Tensor values = at::ones({20});
  Muon({.momentum = 0.95, .weight_decay = 0.5}, values, {values.view({4, 5})})
      .step(values, at::zeros({20}), 0.1);
  EXPECT_TRUE(values.equal(at::full({20}, 0.95)));
}

class OptimizerTest : public testing::TestWithParam<OptimizerKind> {};

TEST_P(OptimizerTest, GoesOnExactlyFromItsSavedState) {
  TrainConfig config;
  config.optimizer = GetParam();
  if (config.optimizer != OptimizerKind::adamw) config.momentum = 0.9;
  config.weight_decay = 0.01;
  const auto make = [&](const at::Tensor& values) {
    return make_optimizer(config, values, {values.view({15, 20})});
  };
  const at::Tensor start = random_tensor({300}, 1.0, 1);
  const auto gradient = [](int t) {
    return random_tensor({300}, 1.0, 50 + static_cast<std::uint64_t>(t));
  };
  const at::Tensor whole = start.clone();
  const auto undisturbed = make(whole);
  for (int t = 0; t < 6; ++t) undisturbed->step(whole, gradient(t), 0.01);

  const at::Tensor parts = start.clone();
  const auto first = make(parts);
  for (int t = 0; t < 3; ++t) first->step(parts, gradient(t), 0.01);
  const auto second = make(parts);
  const auto saved = first->moments(), restored = second->moments();
  ASSERT_EQ(static_cast<std::int64_t>(saved.size()), optimizer_moments(config));
  ASSERT_FALSE(saved.empty());
  for (std::size_t i = 0; i < saved.size(); ++i) restored[i].flat.copy_(saved[i].flat);
  second->set_steps(3);
  for (int t = 3; t < 6; ++t) second->step(parts, gradient(t), 0.01);
  EXPECT_TRUE(parts.equal(whole));
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest,
                         testing::Values(OptimizerKind::adamw, OptimizerKind::sgd,
                                         OptimizerKind::muon),
                         [](const auto& kind) { return std::string(enum_name(kind.param)); });

TEST(ClipToNormTest, ScalesDownOnlyWhatIsTooLong) {
  at::Tensor g = at::tensor({3.0f, 4.0f});
  EXPECT_EQ(clip_to_norm(g, 0.0), 5.0);
  EXPECT_EQ(clip_to_norm(g, 5.1), 5.0);
  EXPECT_TRUE(g.equal(at::tensor({3.0f, 4.0f})));
  EXPECT_EQ(clip_to_norm(g, 1.0), 5.0);
  EXPECT_NEAR(g[0].item<double>(), 3.0 / (5.0 + 1e-6), 1e-7);
  g = at::tensor({1.0f, std::numeric_limits<float>::infinity()});
  EXPECT_FALSE(std::isfinite(clip_to_norm(g, 1.0)));
}

}  // namespace
}  // namespace mayfly
