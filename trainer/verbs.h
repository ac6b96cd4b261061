// What each verb of `train` does once its command line is read: builds the real parts, calls the
// work, prints the result on standard output.
#pragma once

#include <vector>

#include "core/result.h"
#include "trainer/command_line.h"

namespace mayfly {

// Empty: done. A config's problems come all at once, everything else is one error. No exception
// leaves it.
std::vector<Error> run_verb(const TrainCommandLine& line);

}  // namespace mayfly
