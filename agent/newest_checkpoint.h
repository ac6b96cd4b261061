// The newest complete checkpoint of a run directory.
#pragma once

#include <optional>

#include "agent/state.h"
#include "core/run/directory.h"

namespace mayfly {

// Complete by its name: the trainer makes the folder appear by rename, after everything in it.
std::optional<NewestCheckpoint> newest_checkpoint(const RunDirectory& run);

}  // namespace mayfly
