// The verbs that let a model answer: as trainer/verbs.h, of which they are a part.
#pragma once

#include <vector>

#include "core/result.h"
#include "trainer/command_line.h"
#include "trainer/device.h"

namespace mayfly {

std::vector<Error> run_generate(const TrainCommandLine& line, const ComputeDevice& device);
// Lines of standard input are what the user says, until it ends; `/new` forgets what was said.
std::vector<Error> run_chat(const TrainCommandLine& line, const ComputeDevice& device);
std::vector<Error> run_exact_match(const TrainCommandLine& line, const ComputeDevice& device);

}  // namespace mayfly
