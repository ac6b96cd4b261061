// `status`: once, or again and again.
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// With --watch: redraws in place on a terminal, else one line for each change, until interrupted;
// with --json one document a poll.
Result<ExitCode> status_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
