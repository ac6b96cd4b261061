// What a machine that is gone has left on the hub of its run: its logs, its last status. Copied
// into the run directory here, where they are missing or older.
#pragma once

#include "core/clock.h"
#include "core/result.h"
#include "launcher/state_file.h"

namespace mayfly {

// Asks the run's hub, with HF_TOKEN or the stand-in's own token; some seconds at most. Errors:
// those of core/store; not_found where the run published nothing.
Status fetch_last_words(const KnownRun& run, Clock& clock);

}  // namespace mayfly
