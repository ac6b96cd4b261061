// `launch doctor`: does this machine have what a run needs?
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Prints one line a check, with a hint where one fails. Creates nothing. Exit code: that of the
// first failed check.
Result<ExitCode> doctor_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
