// How large a checkpoint of this run is: what the newest one took or, before there is one, what
// shapes and rank say.
#pragma once

#include <cstdint>
#include <optional>

#include "core/run/directory.h"
#include "core/run/plan.h"

namespace mayfly {

// The adapter in float32, what the optimizer remembers of it, and the tokenizer's files. nullopt:
// neither a checkpoint nor the model's config.json is on this machine yet, or the model is of an
// unknown kind.
std::optional<std::int64_t> checkpoint_bytes(const RunPlan& plan, const RunDirectory& run);

}  // namespace mayfly
