// The learning rate of a step. Pure; no state but the numbers given.
#pragma once

#include <cstdint>

#include "core/config/train_config.h"

namespace mayfly {

struct Schedule {
  LrScheduler kind = LrScheduler::cosine;
  double peak = 0;
  double floor = 0;  // min_learning_rate: at the end of cosine, linear and wsd
  std::int64_t warmup = 0;
  std::int64_t decay = 0;  // of wsd: the last so many of `steps`
  std::int64_t steps = 0;
};

// From the config's fields. Shares of the steps count up: ceil(ratio · steps), as in transformers.
// `constant` has no warm-up, that is what `constant_with_warmup` is for.
Schedule make_schedule(const TrainConfig& config, std::int64_t steps);

// The learning rate used AT `step`, which counts from 0: peak · step / warmup while step < warmup
// (so the first is 0 when there is a warm-up), then with x = (step - warmup) / (steps - warmup)
//   cosine    floor + (peak - floor) · (1 + cos(pi · x)) / 2
//   linear    floor + (peak - floor) · (1 - x)
//   constant, constant_with_warmup   peak
//   wsd       peak, but in the last `decay` steps as cosine, with x from 0 to 1 in those
// Source of wsd: Hu et al. 2024, "MiniCPM", arXiv:2404.06395, 4.2; the decay is get_wsd_schedule's.
double learning_rate_at(const Schedule& schedule, std::int64_t step);

}  // namespace mayfly
