// What can be checked before a machine is rented, beyond the input itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "launcher/make_plan.h"

namespace mayfly {

// Room for the model's copy, two checkpoints and the logs where the run directory will be. Error:
// no_space, with the numbers.
Status check_disk(const RunPlan& plan, std::int64_t model_bytes);

// Asks a named hub whom the token belongs to (once for all runs, which have the same one), and
// looks into their repositories: an adapter of another base that would be overwritten, and a token
// that runs out too early, are added to the runs' mistakes. Nothing is asked of the embedded hub.
// Errors: unauthorized (the token is refused, or cannot write to a repository), unreachable.
Status check_hub(std::vector<PlannedRun>& runs, Clock& clock);

// Bytes free for us on the disk that `path`, or its nearest folder that exists, is on.
Result<std::int64_t> free_bytes(const std::filesystem::path& path);

// "269 MB"
std::string format_bytes(std::int64_t bytes);

}  // namespace mayfly
