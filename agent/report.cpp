#include "agent/report.h"

#include <algorithm>

#include "agent/extension.h"

namespace mayfly {

namespace {

const char* upload_word(Upload::State state) {
  switch (state) {
    case Upload::State::sending:
      return "uploading";
    case Upload::State::waiting:
      return "queued";
    case Upload::State::safe:
      return "safe";
    case Upload::State::failed:
      return "failed";
  }
  return "";
}

double age_seconds(Age age) {
  return std::chrono::duration<double>(age).count();
}

std::optional<double> left(Age until, Age now) {
  if (until >= kNever) return std::nullopt;
  return std::max(0.0, age_seconds(until - now));
}

GuardReport idle_guard(const char* name, double minutes, Age since, Age now) {
  GuardReport guard{.name = name, .limit = minutes * 60, .unit = "seconds", .left_seconds = {}};
  if (minutes > 0) guard.left_seconds = std::max(0.0, minutes * 60 - age_seconds(now - since));
  return guard;
}

std::vector<GuardReport> guards_of(const AgentPolicy& policy, const AgentState& state, Age age) {
  const LimitPolicy now = limits_now(policy, state);
  const LimitsConfig& limits = now.limits;
  std::vector<GuardReport> guards;
  guards.push_back({.name = "spend",
                    .limit = static_cast<double>(limits.spend_limit.micros) / 1e6,
                    .unit = "USD",
                    .left_seconds = left(spend_deadline(now).stop_at, age)});
  guards.push_back({.name = "ttl",
                    .limit = limits.ttl_hours.value_or(0) * 3600,
                    .unit = "seconds",
                    .left_seconds = left(ttl_deadline(now).stop_at, age)});
  guards.push_back(idle_guard("idle", limits.idle_minutes, state.progress_at, age));
  guards.push_back(idle_guard("stall", limits.stall_minutes, state.trainer_progress_at, age));
  return guards;
}

void add_progress(RunStatus& status, const AgentState& state, Age age) {
  const Progress& progress = state.progress;
  status.stage = progress.stage;
  status.epoch = progress.epoch;
  status.step = progress.step;
  status.total_steps = progress.total_steps;
  status.loss = progress.loss;
  status.held_out_loss = progress.held_out;
  status.held_out_loss_before = progress.held_out_before;
  status.tokens_per_second = progress.tokens_per_second;
  status.last_progress_seconds = age_seconds(age - state.progress_at);
  status.trainer_restarts = state.restarts;
  status.warnings = state.warnings;
  const bool training = state.stage == Stage::training;
  if (training && progress.seconds_per_step && progress.total_steps > 0) {
    const auto steps = static_cast<double>(progress.total_steps - progress.step);
    status.eta_seconds = std::max(0.0, steps * *progress.seconds_per_step);
  }
}

void add_money(RunStatus& status, const AgentPolicy& policy, const AgentState& state, Age age) {
  const Price& price = policy.limit.price;
  const SpendMeter meter(price, WallTime{});
  status.spent = meter.spent(WallTime{} + age);
  status.rate_per_hour = price.per_hour;
  status.limit = limits_now(policy, state).limits.spend_limit;
  if (status.eta_seconds) {
    const auto rest =
        std::chrono::milliseconds(static_cast<std::int64_t>(*status.eta_seconds * 1000.0));
    status.to_finish = meter.spent(WallTime{} + age + rest) - status.spent;
  }
}

}  // namespace

RunStatus make_status(const RunPlan& plan, const InstanceId& instance, const AgentPolicy& policy,
                      const AgentState& state, WallTime created_at, WallTime now, Age age) {
  RunStatus status;
  status.run_id = plan.run_id;
  status.name = plan.run_name;
  status.updated_at = now;
  status.phase = std::string(enum_name(plan.config.phase));
  status.state = std::string(stage_name(state.stage));
  status.reason = std::string(stop_reason_name(state.reason));
  status.detail = state.detail;
  status.exit_code = state.exit_code;
  status.epochs = plan.config.train.epochs;
  add_progress(status, state, age);
  status.provider = plan.offer.provider;
  status.instance_id = instance;
  status.instance_type = plan.offer.instance_type;
  status.instance_state = state.gone                         ? "gone"
                          : state.stage == Stage::confirming ? "terminating"
                                                             : "running";
  status.created_at = created_at;
  add_money(status, policy, state, age);
  status.hub_endpoint = plan.hub_endpoint;
  status.hub_repo = plan.hub_repo;
  for (const Upload& upload : state.uploads) {
    // Where a person finds what did not get through.
    const std::string kept = upload.state == Upload::State::failed
                                 ? "; the files are in " + plan.run_dir + "/" + upload.folder
                                 : "";
    status.uploads.push_back(
        {.label = upload.label,
         .state = upload_word(upload.state),
         .step = upload.step,
         .commit = upload.commit,
         .message = (upload.flag.empty() ? upload.message : upload.flag) + kept,
         .at = upload.at});
  }
  status.guards = guards_of(policy, state, age);
  return status;
}

Receipt make_receipt(const RunPlan& plan, const InstanceId& instance, const AgentPolicy& policy,
                     const AgentState& state, WallTime created_at, Age age) {
  Receipt receipt;
  receipt.run_id = plan.run_id;
  receipt.run_name = plan.run_name;
  receipt.provider = plan.offer.provider;
  receipt.instance_id = instance;
  receipt.reason = std::string(stop_reason_name(state.reason));
  receipt.exit_code = state.exit_code.value_or(0);
  receipt.created_at = created_at;
  receipt.destroy_asked_at = state.destroy_accepted_at.value_or(created_at + age);
  receipt.destroy_answer = state.destroy_answer;
  receipt.cost = SpendMeter(policy.limit.price, WallTime{}).spent(WallTime{} + age);
  for (const Upload& upload : state.uploads) {
    if (upload.state != Upload::State::safe) continue;
    receipt.safe_branches.push_back(upload.label);
    receipt.final_upload_sha256 = upload.files_sha256;
  }
  return receipt;
}

AgentPolicy make_policy(const RunPlan& plan, std::chrono::seconds destroying_takes) {
  AgentPolicy policy;
  policy.limit = {plan.config.limits, plan.offer.price, destroying_takes};
  policy.has_hub = !plan.hub_endpoint.empty() && !plan.hub_repo.empty();
  policy.push_checkpoints = plan.config.hub.push_checkpoints;
  policy.checkpoint_every_epochs = plan.config.hub.checkpoint_every_epochs;
  policy.status_every = plan.config.hub.status_every;
  policy.keeps_disk = plan.offer.provider == "local";
  return policy;
}

}  // namespace mayfly
