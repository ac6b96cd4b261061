// `launch apply`: makes what runs agree with a file. The experiments of the file that have no run
// get one, those that run or are done are kept, runs of the fleet that the file does not name any
// more are destroyed.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/exit_code.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/job.h"
#include "launcher/run_command.h"
#include "launcher/state_file.h"

namespace mayfly {

// A run of the list that belongs to a fleet: its plan's run.group is the fleet's name.
struct FleetRun {
  std::string name;
  bool lives = false;  // it may have a machine
  bool done = false;   // it ended as it should
  bool stays = false;  // its run directory is there, so no other run can have its name
};

struct FleetDiff {
  std::vector<std::size_t> make;  // indices of jobs
  std::vector<std::size_t> wait;  // running
  std::vector<std::size_t> done;
  std::vector<std::size_t> failed;   // ended badly, with a run directory that somebody may want
  std::vector<std::string> destroy;  // names
};

// Pure. Of several runs of one name the newest counts. A run that ended badly is made again when
// its directory is gone. Only what may have a machine is destroyed.
FleetDiff fleet_diff(const std::vector<Job>& jobs, const std::vector<FleetRun>& runs);

// Errors: those of run_command, for the whole fleet before anything is made; outcome_unknown when
// an extra run could not be confirmed to be gone, and then nothing is made either.
std::variant<ExitCode, Failure> apply_command(const CommandLine& line, Desk& desk);

}  // namespace mayfly
