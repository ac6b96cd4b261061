// One run of several: of one seed, or of one experiment of a fleet. Pure.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/config/fleet_file.h"
#include "core/config/load.h"
#include "core/config/run_config.h"
#include "core/result.h"

namespace mayfly {

struct Job {
  std::string pod;
  std::string experiment;
  RunConfig config;  // with one seed, its own run.name and its own repository

  const std::string& run_name() const {
    return *config.run.name;
  }
};

// One job a seed: `<name>-seed-<N>`, the repository `<prefix>-seed-<N>`, a pod each.
std::vector<Job> jobs_of_seeds(const RunConfig& config, const std::string& name);

struct FleetJobs {
  std::vector<Job> jobs;
  std::vector<Error> problems;  // not empty: the jobs must not be used
};

// One job an experiment and seed, in the order of the file: `<group>-<experiment>[-seed-<N>]`, and
// `<prefix>-<experiment>[-seed-<N>]` as the repository. `inputs` are those of read_fleet: their
// command line wins over pods and experiments.
FleetJobs jobs_of_fleet(const FleetFile& fleet, ConfigInputs inputs);

}  // namespace mayfly
