// `launch down` and `launch stop`: ending runs, at once or in good order.
#pragma once

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"

namespace mayfly {

// Destroys the machines and believes only the provider's listing. Runs, instance ids of orphans, or
// --all. Exit code 9 when one could not be confirmed. Errors: not_found, usage, guard.
Result<ExitCode> down_command(const CommandLine& line, Desk& desk);

// Asks the agents to save, upload and destroy; --now to destroy without saving. Does not wait.
// Without a name the one run that goes on. Error: unsupported where the agent cannot be asked.
Result<ExitCode> stop_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
