#include "trainer/batches.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/text/data_order.h"

namespace mayfly {

Batches::Batches(std::int64_t sequences, const BatchSizes& sizes, std::uint64_t seed, bool shuffle)
    : sequences_(sequences),
      sizes_(sizes),
      seed_(seed),
      shuffle_(shuffle),
      steps_per_epoch_((sequences + sizes.effective - 1) / sizes.effective) {
  assert(sequences > 0 && sizes.per_device > 0 && sizes.effective > 0);
}

std::int64_t Batches::total_steps(const TrainConfig& train) const {
  if (train.max_steps) return *train.max_steps;
  const double steps = std::ceil(train.epochs * static_cast<double>(steps_per_epoch_));
  return std::max<std::int64_t>(static_cast<std::int64_t>(steps), 1);
}

std::vector<std::vector<std::uint32_t>> Batches::of_step(std::int64_t step) {
  const std::int64_t epoch = step / steps_per_epoch_;
  if (epoch != epoch_) {
    order_ = data_order(seed_, epoch, static_cast<std::size_t>(sequences_), shuffle_);
    epoch_ = epoch;
  }
  const std::int64_t first = step % steps_per_epoch_ * sizes_.effective;
  const std::int64_t last = std::min(first + sizes_.effective, sequences_);
  std::vector<std::vector<std::uint32_t>> micro_batches;
  for (std::int64_t at = first; at < last; at += sizes_.per_device) {
    micro_batches.emplace_back(order_.begin() + at,
                               order_.begin() + std::min(at + sizes_.per_device, last));
  }
  return micro_batches;
}

}  // namespace mayfly
