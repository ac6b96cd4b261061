// What `status` shows, gathered once: the runs of this machine, and machines of nobody's.
//
// Looking also settles: a run whose machine the provider no longer lists gets its receipt completed
// and is marked gone in the list of runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/clock.h"
#include "core/exit_code.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/terminal.h"
#include "launcher/run_view.h"
#include "launcher/state_file.h"

namespace mayfly {

struct Orphan : Instance {
  std::string provider;
};

struct StatusReport {
  WallTime time;
  std::vector<RunView> runs;
  std::vector<Orphan> orphans;  // machines with our tag that no run of the list has
  std::vector<Error> errors;    // sources that failed
};

struct StatusQuestion {
  std::vector<std::string> names;  // empty: those that may be billing, and the newest that ended
  bool all = false;                // those that have ended, too
};

// Where gather_status gets what it asks.
struct StatusSources {
  std::function<Result<Provider*>(const std::string& name)> provider;
  std::vector<std::string> listed;  // whose listings are searched for machines of nobody's
  // Copies what the run's machine has to say to where it is read (mirror.h).
  std::function<Status(const KnownRun& run)> refresh;
};

// Errors: not_found for a name that is not in the list; those of the list itself. A provider that
// fails is in the report.
Result<StatusReport> gather_status(StateFile& state, const StatusSources& sources,
                                   const StatusQuestion& question, Clock& clock);

// If the provider has ended the run's machine: completes the receipt, marks the run gone, and
// returns true. False: it is there, or nobody knows. Errors: the provider's, the list's.
Result<bool> settle_run(StateFile& state, Provider& provider, const KnownRun& run, Clock& clock);

// As a table for people; ends with a newline.
std::string status_text(const StatusReport& report, const Terminal& terminal);
// The schema mayfly.status/1 (docs/status.md).
nlohmann::json status_json(const StatusReport& report);
// 0, 20 (a run needs attention) or 21 (a machine of nobody's is billing).
ExitCode status_code(const StatusReport& report);

}  // namespace mayfly
