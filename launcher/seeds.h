// `launch` with several run.seeds: one run, directory and repository a seed.
#pragma once

#include <variant>

#include "core/exit_code.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/run_command.h"

namespace mayfly {

// On this machine one after another, on a cloud side by side; watched to the end either way. With
// --dry-run shows the runs and what they cost. Exit code: that of the first run that did not end
// well.
std::variant<ExitCode, Failure> run_seeds(const CommandLine& line, const RunConfig& config,
                                          Desk& desk);

}  // namespace mayfly
