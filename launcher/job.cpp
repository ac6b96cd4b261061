#include "launcher/job.h"

#include <algorithm>

namespace mayfly {

namespace {

std::string seed_ending(std::int64_t seed) {
  return "-seed-" + std::to_string(seed);
}

void add_jobs_of(const FleetExperiment& experiment, const std::string& pod, const RunConfig& config,
                 bool named, std::vector<Job>& jobs) {
  const std::string base = config.run.name.value_or(*config.run.group);
  const std::string name = base + (named ? "-" + experiment.name : "");
  for (const std::int64_t seed : config.run.seeds) {
    const std::string ending = config.run.seeds.size() > 1 ? seed_ending(seed) : "";
    Job job{pod, experiment.name, config};
    job.config.run.name = name + ending;
    job.config.run.seeds = {seed};
    if (named && config.hub.repo_prefix) {
      job.config.hub.repo = *config.hub.repo_prefix + "-" + experiment.name + ending;
      job.config.hub.repo_prefix.reset();
    }
    jobs.push_back(std::move(job));
  }
}

}  // namespace

std::vector<Job> jobs_of_seeds(const RunConfig& config, const std::string& name) {
  std::vector<Job> jobs;
  for (const std::int64_t seed : config.run.seeds) {
    Job job{"seed " + std::to_string(seed), "", config};
    job.config.run.name = name + seed_ending(seed);
    job.config.run.seeds = {seed};
    jobs.push_back(std::move(job));
  }
  return jobs;
}

FleetJobs jobs_of_fleet(const FleetFile& fleet, ConfigInputs inputs) {
  FleetJobs made;
  inputs.fleet_apart = true;
  const std::vector<CommandLineValue> own = std::move(inputs.command_line);
  const bool named = fleet.experiments.size() > 1 || fleet.experiments.front().name != "run";
  std::size_t turn = 0;
  for (const FleetExperiment& experiment : fleet.experiments) {
    const auto wanted = std::find_if(fleet.pods.begin(), fleet.pods.end(),
                                     [&](const auto& pod) { return pod.name == experiment.pod; });
    const FleetPod& pod =
        wanted != fleet.pods.end() ? *wanted : fleet.pods[turn++ % fleet.pods.size()];
    inputs.command_line = pod.settings;
    inputs.command_line.insert(inputs.command_line.end(), experiment.settings.begin(),
                               experiment.settings.end());
    inputs.command_line.insert(inputs.command_line.end(), own.begin(), own.end());
    LoadedConfig loaded = load_config(inputs);
    for (Error& problem : loaded.problems) {
      // What is wrong in the file itself is wrong for every experiment: told once.
      const bool told = std::any_of(
          made.problems.begin(), made.problems.end(),
          [&](const Error& other) { return located_message(other) == located_message(problem); });
      if (!told) made.problems.push_back(std::move(problem));
    }
    if (!loaded.config.run.group) loaded.config.run.group = fleet.name;
    add_jobs_of(experiment, pod.name, loaded.config, named, made.jobs);
  }
  if (made.jobs.size() > 1 && made.problems.empty() && made.jobs.front().config.hub.repo &&
      made.jobs.front().config.hub.repo == made.jobs.back().config.hub.repo) {
    made.problems.push_back(
        {ErrorKind::invalid_config,
         "hub.repo is one repository for " + std::to_string(made.jobs.size()) + " runs",
         "give hub.repo_prefix: each gets <prefix>-<experiment>"});
  }
  return made;
}

}  // namespace mayfly
