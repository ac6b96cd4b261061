// The sections of a run file that make several runs of it:
//
//   fleet:
//     pods:                       machines of one kind, each with experiments one after another
//       - {name: "pod-{i}", count: 2, gpu_type: A100, gpu_count: 1, ttl_hours: 8}
//   sweep:
//     matrix:                     every combination of
//       train.learning_rate: [1e-6, 3e-6]         a list
//       lora.dropout: {linspace: [0, 0.1, 3]}     evenly spread, both ends with it
//       train.weight_decay: {logspace: [1e-4, 1e-2, 3]}
//       zip: {train.per_device_batch_size: [1, 2], train.gradient_accumulation: [8, 4]}
//     strategy: random(20)        so many of these combinations; default: grid, every one
//     seed: 42                    of that choice, which is the same at every reading
//     experiments:                these, beside the matrix
//       - {name: long, train.max_steps: 1000, pod: pod-1}
//
// A pod has name, count, gpu_type (A100), gpu_count (8), country, ttl_hours, min_upload_mbps,
// min_download_mbps, provider, and any other key of `instance`; `{i}` is its number from 1. An
// experiment has a name, if it likes a pod, and any path of a run file; the short names of the GRPO
// guide (dataset, model_id, learning_rate, batch_size, grad_accum_steps, total_steps, eval_every)
// are taken for the fields they mean. What they are set to is checked by load_config, as settings
// of a command line are. Pure but for reading the files.
#pragma once

#include <string>
#include <vector>

#include "core/config/load.h"
#include "core/result.h"

namespace mayfly {

struct FleetPod {
  std::string name;
  std::vector<CommandLineValue> settings;
};

struct FleetExperiment {
  std::string name;
  std::string pod;  // "": the pods take turns
  std::vector<CommandLineValue> settings;
};

struct FleetFile {
  std::string name;                          // run.group, or the last file's name without ending
  std::vector<FleetPod> pods;                // at least one
  std::vector<FleetExperiment> experiments;  // at least one
  // Settings of pods are for rented machines; a file without pods has one that sets nothing.
  bool has_pods = false;
  std::vector<Error> problems;  // not empty: the rest must not be used
};

// At most so many experiments come of one file: more is a slip in a matrix.
constexpr std::size_t kMostExperiments = 1000;

// Of the files of `inputs`; a later file's section replaces an earlier one's.
FleetFile read_fleet(const ConfigInputs& inputs);

}  // namespace mayfly
