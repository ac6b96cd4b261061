// What can be checked before a machine is rented, beyond the input itself.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "launcher/hub_choice.h"

namespace mayfly {

// Room for the model's copy, two checkpoints and the logs where the run directory will be. Error:
// no_space, with the numbers.
Status check_disk(const RunPlan& plan, std::int64_t model_bytes);

// Asks a hub whom the token belongs to. Errors: unauthorized (it is refused), unreachable.
Status check_hub_token(const HubChoice& hub, Clock& clock);

// Bytes free for us on the disk that `path`, or its nearest folder that exists, is on.
Result<std::int64_t> free_bytes(const std::filesystem::path& path);

// "269 MB"
std::string format_bytes(std::int64_t bytes);

}  // namespace mayfly
