// `launch checkpoint` and `launch extend`: asking a run that goes on.
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/state_file.h"

namespace mayfly {

// The run that is meant: the named one, or the only one that may have a machine. Errors: not_found
// (there is none, or the named one has ended), usage (there are several: name one).
Result<KnownRun> live_run(const CommandLine& line, const Desk& desk);

// Asks the agent to save at the next step and go on. Waits some seconds for it to take the request;
// one that is not taken yet stays for the agent's next life, and that is said. Exit code 20 then.
Result<ExitCode> checkpoint_command(const CommandLine& line, Desk& desk);

// Raises the limits by --hours and --usd, and notes in the list of runs what the agent granted: it
// may grant less, or nothing once the run has begun to stop. Errors: usage; guard (the agent
// refused, or the question was not answered with yes); unreachable (it did not take the request).
Result<ExitCode> extend_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
