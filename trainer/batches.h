// Which sequences (examples, or packs of them) make up which optimizer step. Pure: the same for the
// same arguments, and any step can be had without those before, which is what makes resuming exact
// and immediate.
//
// An epoch is cut into steps of `effective` sequences; its last step has what is left, and no step
// reaches into the next epoch.
#pragma once

#include <cstdint>
#include <vector>

#include "core/config/run_config.h"

namespace mayfly {

class Batches {
 public:
  // REQUIRES: sequences > 0 and all sizes > 0.
  Batches(std::int64_t sequences, const BatchSizes& sizes, std::uint64_t seed, bool shuffle);

  std::int64_t steps_per_epoch() const {
    return steps_per_epoch_;
  }
  // Of the whole run: max_steps if it is given, else epochs (which may be a fraction) rounded up to
  // whole steps, as in transformers.
  std::int64_t total_steps(const TrainConfig& train) const;

  // The numbers of the sequences of `step` (from 0), by micro-batch. The order of an epoch is kept
  // between calls, so going through steps in order is cheap.
  std::vector<std::vector<std::uint32_t>> of_step(std::int64_t step);

 private:
  std::int64_t sequences_;
  BatchSizes sizes_;
  std::uint64_t seed_;
  bool shuffle_;
  std::int64_t steps_per_epoch_;
  std::int64_t epoch_ = -1;  // of order_
  std::vector<std::uint32_t> order_;
};

}  // namespace mayfly
