// What is done for the work when the agent itself is not there any more (layer 4): one shot, by the
// watchdog, before it destroys the instance.
#pragma once

#include <string>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/plan.h"

namespace mayfly {

// Ends the trainer (SIGTERM and time to save, then SIGKILL; `trainer_unit` as in MachineParts),
// then uploads what is complete and not yet safe on the hub: the final adapter to `main`, else the
// newest checkpoint to `stopped-step-N`. Tries again for ever what may pass: the caller has a clock
// running (BootTimes::rescue). Returns in words what it did.
// Errors: those of an upload that cannot pass.
Result<std::string> rescue_run(const RunPlan& plan, const std::string& secrets_path,
                               const std::string& trainer_unit, Clock& clock);

}  // namespace mayfly
