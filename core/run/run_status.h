// How a run stands: what the agent writes to agent/status.json, commits to the hub, and `status`
// shows. The run object of the schema mayfly.status/1 (docs/status.md has the format).
//
// Written by the agent alone, by replacement, when something changed and at least every few
// seconds; a reader judges its age by `updated_at`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/layer.h"
#include "core/usd.h"

namespace mayfly {

// One thing that goes to the hub. State: queued, uploading, safe (the hub's listing agreed),
// failed.
struct UploadReport {
  std::string label;  // "checkpoint-epoch-2", "main", "logs"
  std::string state;
  std::int64_t step = 0;
  std::string commit;   // when safe
  std::string message;  // why it is not safe yet; what is wrong with it, if it is safe and broken
  std::optional<WallTime> at;
};

// A limit as it stands. `left_seconds` until the orderly stop; nullopt: this limit cannot fire.
struct GuardReport {
  std::string name;  // "spend", "ttl", "idle", "stall", "fuse"
  double limit = 0;
  std::string unit;  // "USD", "seconds"
  std::optional<double> left_seconds;
};

struct RunStatus {
  std::string run_id;
  std::string name;
  WallTime updated_at;

  std::string phase;  // "sft"
  // arming, fetching, training, saving, uploading, destroying, confirming, kept, ended
  std::string state;
  std::string stage;   // of the trainer: load, encode, steps, evaluate, export
  std::string reason;  // why it stops or stopped: finished, spend_limit, ttl, ...; "" while it runs
  std::string detail;  // the same in a sentence
  std::optional<int> exit_code;  // what the run ends with, once that is known

  double epoch = 0;
  double epochs = 0;
  std::int64_t step = 0;
  std::int64_t total_steps = 0;
  std::optional<double> loss;
  std::optional<double> held_out_loss;
  std::optional<double> held_out_loss_before;
  double tokens_per_second = 0;
  std::optional<double> eta_seconds;
  double last_progress_seconds = 0;  // ago
  int trainer_restarts = 0;

  std::string provider;
  std::string instance_id;
  std::string instance_type;
  std::string instance_state;
  WallTime created_at;

  Usd spent;
  Usd rate_per_hour;
  Usd limit;
  std::optional<Usd> to_finish;  // besides what is spent

  std::string hub_endpoint;
  std::string hub_repo;
  std::vector<UploadReport> uploads;
  std::vector<GuardReport> guards;
  std::vector<Layer> layers;  // that end the instance, as the agent sees them
  std::vector<std::string> warnings;
};

nlohmann::json status_to_json(const RunStatus& status);
// Error: corrupt, naming the field.
Result<RunStatus> status_from_json(const nlohmann::json& json);
// Errors: not_found (no agent has written one yet), corrupt.
Result<RunStatus> read_status(const std::string& path);

}  // namespace mayfly
