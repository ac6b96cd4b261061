// `launch config`: what a run file says, whether it is right, and what may stand in one.
//
//   show [--origin] [--format yaml|json|json-schema]   every value, and where it came from
//   check FILE...                                      all problems with file, line and column
//   schema [--format json|text]                        JSON Schema for editors; text for people
//   init                                               a commented file to start from
//   list                                               the names that -c knows, and their files
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "core/config/load.h"
#include "core/exit_code.h"

namespace mayfly {

struct ConfigCommand {
  std::string verb;                // "show", "check", ...
  std::vector<std::string> words;  // what follows it: the files of check
  bool origin = false;
  std::string format = {};  // "": the verb's own
  bool json = false;        // --json: errors, and the answer of check and list, for a script
  ConfigInputs inputs = {};
};

// Prints the answer to `out` and problems to standard error.
ExitCode config_command(const ConfigCommand& command, std::ostream& out);

}  // namespace mayfly
