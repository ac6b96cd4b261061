// What there is to see of a run on a rented machine, copied to this one: its status, events, logs
// and receipt, into the run directory here (KnownRun::run_dir), where everything that looks at a
// run reads them. Files that only grow are asked for from where they ended.
//
// Provider local needs none of it: there the directory is the run's own.
#pragma once

#include "core/result.h"
#include "core/run/request.h"
#include "launcher/desk.h"
#include "launcher/state_file.h"

namespace mayfly {

// A rented machine that was reached and may be there.
bool is_elsewhere(const KnownRun& run);

enum class MirrorDepth { status, logs };

// One connection, about a second. Unit also where there is nothing to ask (provider local, no
// machine any more, not reached yet). Errors: unreachable, refused; what was copied before stays.
Status refresh_mirror(const KnownRun& run, MirrorDepth depth, const Desk& desk);

// Puts the request into the agent's folder, there or here. Errors: unreachable, refused.
Status deliver_request(const KnownRun& run, const Request& request, const Desk& desk);

}  // namespace mayfly
