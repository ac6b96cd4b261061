#include "trainer/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mayfly {

Schedule make_schedule(const TrainConfig& config, std::int64_t steps) {
  Schedule schedule{.kind = config.lr_scheduler,
                    .peak = config.learning_rate,
                    .floor = std::min(config.min_learning_rate, config.learning_rate),
                    .steps = steps};
  if (config.lr_scheduler == LrScheduler::constant) return schedule;
  const auto share = [&](double ratio) {
    return static_cast<std::int64_t>(std::ceil(ratio * static_cast<double>(steps)));
  };
  schedule.warmup = config.warmup_steps.value_or(share(config.warmup_ratio.value_or(0)));
  schedule.decay = std::clamp<std::int64_t>(steps - schedule.warmup, 0, share(config.decay_ratio));
  return schedule;
}

double learning_rate_at(const Schedule& schedule, std::int64_t step) {
  if (step < schedule.warmup) {
    return schedule.peak * static_cast<double>(step) / static_cast<double>(schedule.warmup);
  }
  const bool is_stable_first = schedule.kind == LrScheduler::wsd;
  const std::int64_t first = is_stable_first ? schedule.steps - schedule.decay : schedule.warmup;
  const auto after = static_cast<double>(std::max<std::int64_t>(schedule.steps - first, 1));
  const double x = std::clamp(static_cast<double>(step - first) / after, 0.0, 1.0);
  const double range = schedule.peak - schedule.floor;
  switch (schedule.kind) {
    case LrScheduler::cosine:
    case LrScheduler::wsd:
      return schedule.floor + range * 0.5 * (1.0 + std::cos(std::numbers::pi * x));
    case LrScheduler::linear:
      return schedule.floor + range * (1.0 - x);
    case LrScheduler::constant:
    case LrScheduler::constant_with_warmup:
      break;
  }
  return schedule.peak;
}

}  // namespace mayfly
