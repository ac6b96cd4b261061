// The verbs that write a model in another form: as trainer/verbs.h, of which they are a part.
#pragma once

#include <vector>

#include "core/result.h"
#include "trainer/command_line.h"

namespace mayfly {

std::vector<Error> run_merge(const TrainCommandLine& line);
std::vector<Error> run_export(const TrainCommandLine& line);
std::vector<Error> run_import(const TrainCommandLine& line);

}  // namespace mayfly
