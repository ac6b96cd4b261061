// Running a program to its end: what goes in on standard input, what comes out, and no longer than
// allowed. No shell in between; the environment is given in full.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct Command {
  std::vector<std::string> argv;         // argv[0] is looked for in PATH
  std::vector<std::string> environment;  // "NAME=value"
  std::string_view input = {};           // must outlive the call
  std::chrono::milliseconds limit{60'000};
  std::size_t most_output = 64 << 20;  // of standard output; what is more is thrown away
};

struct CommandAnswer {
  int code = 0;     // 128 + the signal that ended it
  std::string out;  // standard output
  std::string err;  // standard error, 64 KB at most
};

// Blocking. Errors: not_found (no such program), refused (no process), unreachable (it was killed
// at the limit; its last words of standard error are in the message).
Result<CommandAnswer> run_to_end(const Command& command);

}  // namespace mayfly
