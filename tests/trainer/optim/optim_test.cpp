// The learning rate and the update are what a run's result hangs on, and a wrong one still trains.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/trainer/tiny_llama.h"
#include "trainer/optim/adamw.h"
#include "trainer/optim/schedule.h"

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

TEST(AdamWTest, GoesOnExactlyFromItsSavedState) {
  const at::Tensor start = random_tensor({300}, 1.0, 1);
  const auto gradient = [](int t) {
    return random_tensor({300}, 1.0, 50 + static_cast<std::uint64_t>(t));
  };
  const at::Tensor whole = start.clone();
  AdamW undisturbed({}, whole);
  for (int t = 0; t < 6; ++t) undisturbed.step(whole, gradient(t), 0.01);

  const at::Tensor parts = start.clone();
  AdamW first({}, parts);
  for (int t = 0; t < 3; ++t) first.step(parts, gradient(t), 0.01);
  AdamW second({}, parts);
  second.first_moment().copy_(first.first_moment());
  second.second_moment().copy_(first.second_moment());
  second.set_steps(first.steps());
  for (int t = 3; t < 6; ++t) second.step(parts, gradient(t), 0.01);
  EXPECT_TRUE(parts.equal(whole));
}

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
