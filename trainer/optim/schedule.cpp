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
  if (config.warmup_steps) {
    schedule.warmup = *config.warmup_steps;
  } else if (config.warmup_ratio) {
    schedule.warmup =
        static_cast<std::int64_t>(std::ceil(*config.warmup_ratio * static_cast<double>(steps)));
  }
  return schedule;
}

double learning_rate_at(const Schedule& schedule, std::int64_t step) {
  if (step < schedule.warmup) {
    return schedule.peak * static_cast<double>(step) / static_cast<double>(schedule.warmup);
  }
  const auto after =
      static_cast<double>(std::max<std::int64_t>(schedule.steps - schedule.warmup, 1));
  const double x = std::min(static_cast<double>(step - schedule.warmup) / after, 1.0);
  const double range = schedule.peak - schedule.floor;
  switch (schedule.kind) {
    case LrScheduler::cosine:
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
