// From what the user wrote to what will happen: everything looked up, counted, priced and checked,
// and nothing created.
//
// Checks come cheapest first, so that a misspelt folder is told at once and not after counting a
// million tokens. Everything that can be wrong with the input is found here, before anything costs
// money: model, data with line numbers, names, programs, disk, token, limits.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/model/architecture.h"
#include "core/model/training_memory.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "core/run/run_name.h"
#include "core/text/dataset.h"
#include "launcher/estimate.h"
#include "launcher/fallback_choice.h"
#include "launcher/hub_choice.h"
#include "launcher/remote_model.h"
#include "launcher/state_file.h"

namespace mayfly {

struct PlanInputs {
  RunConfig config;                // the first of run.seeds counts (seeds.h has the others)
  std::vector<KnownRun> known;     // of the list of runs
  std::filesystem::path programs;  // the folder with `agent` and `train`
  std::filesystem::path working_directory;  // what relative paths are relative to
  RunNameOverrides names;
  std::optional<RemoteModel> remote_model;  // when model.base is a hub id
  std::string run_id;
  WallTime now;
  std::string provider = "local";
  std::filesystem::path cache = {};  // where bundles are kept; for a cloud
  std::string cloud_endpoint = {};   // where its API is
};

// A plan with what a person wants to know beside it.
struct PlannedRun {
  RunPlan plan;
  HubChoice hub;
  FallbackChoice fallbacks;
  std::filesystem::path model_folder;  // with at least configuration and tokenizer, here
  Architecture architecture;
  std::int64_t model_bytes = 0;
  DataCounts train;
  DataCounts held_out;
  std::vector<SourceCounts> mix;  // of data.mix; else empty
  StepCount steps;
  TrainingMemory memory;       // of the one device that trains
  std::vector<Offer> offers;   // of a cloud: to be tried in this order; plan.offer is the first
  std::vector<Offer> fitting;  // all that fulfil the wishes, the cheapest first
  bool machine_named = false;  // by the person: its price was said yes to
  std::vector<std::string> branches;   // that will appear, in order; `main` last
  std::vector<std::string> notes;      // what is odd, in sentences
  std::optional<Error> not_startable;  // why a rented machine could not do it
  // What would work and be money thrown away, in sentences. A run with any is not started without
  // --yes.
  std::vector<std::string> mistakes;
};

// For provider `local` the whole plan; for a cloud all but the machine, for which put_on
// (pricing.h) is called when one is chosen. Errors: usage and invalid_config (names, seeds, paths),
// not_found (model, data, programs), bad_data (with file and line), unsupported, no_space,
// unauthorized, guard (max_cost_per_launch).
Result<PlannedRun> make_plan(const PlanInputs& inputs);

// Twelve random hex digits.
std::string new_run_id();

// How long after its boot the instance ends itself, whatever else fails: five minutes after the
// first limit that must have ended it, or thirty days where no limit knows an end.
std::chrono::seconds fuse_of(const RunPlan& plan);

// The name a run of this config would get now. Error: invalid_config.
Result<std::string> planned_name(const RunConfig& config, const std::vector<KnownRun>& known,
                                 const std::filesystem::path& outputs,
                                 const RunNameOverrides& names);

}  // namespace mayfly
