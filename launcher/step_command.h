// `launch step`: one step of the guide's pipeline alone.
//
//   setup      what a run needs is there: as `launch doctor` (a rented machine is set up by its
//   start) train      the run itself; the data must be there upload     sends the adapter of the
//   newest run of that name to its repository, if it is not there terminate  destroys the machines
//   of the runs of that name, and believes only the listing
//
// `generate` and `eval-model` are not built and refused by name.
#pragma once

#include <variant>

#include "core/exit_code.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/run_command.h"

namespace mayfly {

// The run of upload and terminate is run.name of the file, with the seeds' runs; without a name the
// one that goes on, or the newest. Errors: usage (no such step), unsupported, not_found, and those
// of the commands that the steps are.
std::variant<ExitCode, Failure> step_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
