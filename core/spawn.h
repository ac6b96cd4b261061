// Starting another program: argument vector, environment and output given in full, nothing
// inherited by accident, no shell in between.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/result.h"

namespace mayfly {

struct SpawnSpec {
  std::vector<std::string> argv;         // argv[0] is the program's path
  std::vector<std::string> environment;  // "NAME=value"; the whole of it
  std::filesystem::path folder;          // to run in; empty: ours
  std::filesystem::path output;          // standard output and error, appended; empty: nowhere
  bool own_session = false;              // setsid: outlives our session, has no terminal
  bool own_group = false;                // setpgid: can be signalled as a whole
};

// Standard input is /dev/null, no other descriptor is passed on, signals are at their defaults and
// unblocked. Errors: not_found, refused.
Result<pid_t> spawn(const SpawnSpec& spec);

// Waits for a child of ours. The exit code, or 128 + the signal that ended it. Errors: unreachable
// when it still runs after `limit`; not_found when it is no child of ours.
Result<int> wait_for_exit(pid_t child, std::chrono::milliseconds limit);

}  // namespace mayfly
