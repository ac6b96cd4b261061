// The plan: what will happen, with everything resolved. Written once by the launcher, read by the
// agent and the trainer, never changed; what is reviewed is what runs. docs/plan.md has the format.
//
// Holds no secret: tokens travel apart (core/provider/provider.h, InstanceSpec::secrets).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/clock.h"
#include "core/config/run_config.h"
#include "core/result.h"
#include "core/run/runtime.h"
#include "core/run/spend_meter.h"

namespace mayfly {

// A program the instance needs: where it comes from, and its SHA-256, which bootstrap.sh checks.
struct PlannedProgram {
  std::string name;  // "agent", "train"
  std::string url;   // file:///... for the local provider
  std::string sha256;
};

struct PlannedOffer {
  std::string provider;       // "local"
  std::string instance_type;  // what the provider calls it
  std::string region;
  std::string gpu;  // "" if none
  int gpu_count = 0;
  Price price;  // of the whole instance
};

// A checkpoint of an earlier run that this one goes on from; no repository: it begins at step 0.
struct PlannedResume {
  std::string repo;    // owner/name on the plan's hub
  std::string commit;  // of the branch
  std::string branch;  // for people
  std::int64_t step = 0;
};

// What the run is expected to take. From the data's real token count; `basis` says in words how the
// speed was found.
struct Estimate {
  std::int64_t examples = 0;
  std::int64_t tokens = 0;  // all epochs
  std::int64_t steps = 0;
  double seconds = 0;
  Usd cost;
  std::string basis;
};

struct RunPlan {
  std::string run_id;    // 12 hex digits, random; the tag of everything this run creates
  std::string run_name;  // the slug
  WallTime created_at;
  std::int64_t seed = 42;
  RunConfig config;       // paths absolute; hub.token empty
  std::string run_dir;    // on the instance
  std::string model_dir;  // "" until the agent has fetched it, else a folder on the instance
  PlannedOffer offer;
  std::vector<PlannedProgram> programs;
  // The trainer's libraries, where the machine has none; empty: it must find them itself.
  std::vector<PlannedWheel> runtime;
  PlannedResume resume;
  std::string hub_endpoint;  // "" : nothing is uploaded
  std::string hub_repo;      // owner/name
  Estimate estimate;
};

nlohmann::json plan_to_json(const RunPlan& plan);
// Error: corrupt, with the path of the field.
Result<RunPlan> plan_from_json(const nlohmann::json& json);
Result<RunPlan> read_plan(const std::string& path);
// SHA-256 of the plan's canonical JSON line.
std::string plan_hash(const RunPlan& plan);

}  // namespace mayfly
