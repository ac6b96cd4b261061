// A plan on a machine: how long, how much, whether it fits, and what would be money thrown away.
#pragma once

#include <filesystem>
#include <vector>

#include "core/provider/provider.h"
#include "core/result.h"
#include "launcher/make_plan.h"
#include "launcher/state_file.h"

namespace mayfly {

// What a machine with GPUs needs of disk beside its image, with a fifth to spare.
int disk_gb_for(const PlannedRun& planned);

// Fills in plan.offer, plan.estimate, memory, and adds to notes and mistakes. `known` may have a
// run that measured the speed. Error: guard (above limits.max_cost_per_launch).
Status put_on(PlannedRun& planned, const Offer& offer, const std::vector<KnownRun>& known);

// On the attached host of the run file: looked at over SSH, never changed. Errors: also those of
// look_at_host, and unsupported (it lacks something that a run needs).
Status put_on_host(PlannedRun& planned, const std::vector<KnownRun>& known,
                   const std::filesystem::path& state_dir);

}  // namespace mayfly
