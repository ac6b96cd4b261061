// `launch logs`, `launch pull`, `launch receipt`: what a run left, wherever it is.
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// The logs in the run directory, each line with its stage in front; -f until the machine is gone.
// Errors: not_found, refused, no_space.
Result<ExitCode> logs_command(const CommandLine& line, Desk& desk);

// Copies the final adapter, or the newest checkpoint if there is none yet, to --to. Errors: usage,
// not_found, refused (the folder is there already).
Result<ExitCode> pull_command(const CommandLine& line, Desk& desk);

// Prints the receipt; --verify looks at the provider's listing again. Exit code 9 when the
// machine's end is not confirmed. Errors: not_found, corrupt, those of the listing.
Result<ExitCode> receipt_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
