// `launch resume RUN`: a run whose machine is gone goes on, on a new machine, from the newest
// checkpoint on its hub that has all that takes (hub.optimizer_state: all). A run of its own with
// the settings of the old plan, which publishes to the same repository.
//
// Looked at are hub.repo and hub.fallback_repo, of each the highest checkpoint-epoch-N and
// stopped-step-N; not the bucket.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/exit_code.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "core/store/hub_session.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/run_command.h"

namespace mayfly {

std::variant<ExitCode, Failure> resume_command(const CommandLine& line, Desk& desk);

// The checkpoint to go on from; `from`: this branch and no other, "" : the newest. Errors:
// not_found (none that has a resume.json and a manifest), those of the hub.
Result<PlannedResume> newest_resumable(HubSession& hub, const std::vector<std::string>& repos,
                                       const std::string& from);

// The highest branch of each kind. Pure.
std::vector<std::string> newest_branches(const std::vector<std::string>& branches);

}  // namespace mayfly
