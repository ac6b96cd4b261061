// Where a run begins: at nothing, or at the newest checkpoint that is whole.
#pragma once

#include <optional>

#include "core/result.h"
#include "trainer/checkpoint.h"
#include "trainer/device.h"
#include "trainer/sft.h"

namespace mayfly {

struct Beginning {
  std::optional<Checkpoint> checkpoint;  // none: at step 0
};

// On the first rank. Clears away what a killed trainer left, chooses the checkpoint and reports
// `started`. A damaged checkpoint is reported as a warning and the one before is taken. The run's
// own checkpoints come before train.resume_from, which only says where the first start begins.
// Errors: not_found or corrupt (a checkpoint that the user named), refused.
Result<Beginning> find_beginning(const SftJob& job, const ComputeDevice& device);

}  // namespace mayfly
