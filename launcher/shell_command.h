// `launch ssh`: a shell on the run's machine, or one command there.
//
// Provider local: this machine is the instance, so no SSH is needed; the shell starts in the
// instance's root folder with the environment of its processes. It carries the instance's mark like
// all of them: destroying the instance ends it, as it would end an SSH session.
//
// Elsewhere ssh(1) itself is run, with the host key that this laptop gave the machine (ssh_link.h).
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Becomes the shell; returns only if it cannot. Without a command: $SHELL, else sh. Errors:
// not_found (no live machine), unsupported, refused.
Result<ExitCode> ssh_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
