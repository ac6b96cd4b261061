// The plan of `train sft -c run.yaml`: a run on this machine alone, on folders that are there,
// without agent and hub. From then on it goes the same way as one that the launcher planned.
#pragma once

#include <string>
#include <vector>

#include "core/clock.h"
#include "core/config/run_config.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/run/plan.h"

namespace mayfly {

struct LocalPlan {
  RunPlan plan;
  RunDirectory directory;
  std::vector<std::string> unused;  // what the config asks for and this way of training does not do
};

// Chooses the run's name; changes nothing on disk. A run of that name that is there already is gone
// on with, under its own id. train.resume_from: latest means the newest run of the same model, data
// and size. Errors: not_found (the model is not a folder), invalid_config, those of read_plan.
Result<LocalPlan> make_local_plan(const RunConfig& config, Clock& clock);

// Makes the run's folder, with plan.json in it. Errors: those of write_file.
Status write_local_plan(const LocalPlan& local);

}  // namespace mayfly
