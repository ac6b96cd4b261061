// `launch run` and `launch plan`: from a run file to a machine that trains, and on request to its
// end.
#pragma once

#include <optional>
#include <vector>

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/make_plan.h"

namespace mayfly {

// What failed; a config file can have several faults at once.
struct Failure {
  std::vector<Error> errors;
};

// The exit code when the command was carried out, else what was wrong. Prints the plan and where to
// look on standard output, progress on standard error.
std::variant<ExitCode, Failure> run_command(const CommandLine& line, Desk& desk);

// What run_command does with a plan: shows it, or carries it out.
std::variant<ExitCode, Failure> carry_out_plan(const CommandLine& line, PlannedRun run, Desk& desk);

// Everything looked up, counted, chosen and priced for one run, and nothing created. Nobody is
// asked: with `line.run.dry_run` or a choice made in the config; else as run_command says.
std::variant<PlannedRun, Failure> plan_run(const CommandLine& line, RunConfig config, Desk& desk);

// Reads the run files and flags; several problems at once. For all commands that take a config.
std::variant<RunConfig, Failure> read_config(const CommandLine& line, bool must_be_complete);

// The folder of the running program: `agent`, `train` and `localhub` are beside it.
std::filesystem::path program_folder();

}  // namespace mayfly
