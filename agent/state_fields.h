// The members of everything that the agent remembers or records, for agent/field_json.h.
#pragma once

#include <type_traits>

#include "agent/state.h"

namespace mayfly {

template <class Given, class T>
concept Is = std::is_same_v<std::remove_cvref_t<Given>, T>;

void fields(auto& progress, auto&& field) requires Is<decltype(progress), Progress> {
  field("stage", progress.stage);
  field("stage_done", progress.stage_done);
  field("step", progress.step);
  field("total_steps", progress.total_steps);
  field("epoch", progress.epoch);
  field("loss", progress.loss);
  field("held_out", progress.held_out);
  field("held_out_before", progress.held_out_before);
  field("tokens_per_second", progress.tokens_per_second);
  field("seconds_per_step", progress.seconds_per_step);
  field("last_step_at", progress.last_step_at);
}

void fields(auto& upload, auto&& field) requires Is<decltype(upload), Upload> {
  field("label", upload.label);
  field("folder", upload.folder);
  field("step", upload.step);
  field("state", upload.state);
  field("sink", upload.sink);
  field("sent_at", upload.sent_at);
  field("flag", upload.flag);
  field("attempts", upload.attempts);
  field("corrupt_answers", upload.corrupt_answers);
  field("retry_at", upload.retry_at);
  field("commit", upload.commit);
  field("files_sha256", upload.files_sha256);
  field("message", upload.message);
  field("at", upload.at);
}

void fields(auto& state, auto&& field) requires Is<decltype(state), AgentState> {
  field("stage", state.stage);
  field("entered_at", state.entered_at);
  field("reason", state.reason);
  field("detail", state.detail);
  field("exit_code", state.exit_code);
  field("extra_spend", state.extra_spend);
  field("extra_time", state.extra_time);
  field("extensions", state.extensions);
  field("fuse_asked", state.fuse_asked);
  field("tests_started", state.tests_started);
  field("tests_again_at", state.tests_again_at);
  field("fetch_started", state.fetch_started);
  field("fetched_bytes", state.fetched_bytes);
  field("next_seq", state.next_seq);
  field("progress", state.progress);
  field("progress_at", state.progress_at);
  field("trainer_progress_at", state.trainer_progress_at);
  field("trainer_wanted", state.trainer_wanted);
  field("trainer_seen", state.trainer_seen);
  field("trainer_killed", state.trainer_killed);
  field("stall_kill", state.stall_kill);
  field("stack_asked_at", state.stack_asked_at);
  field("kill_when_saved", state.kill_when_saved);
  field("finished", state.finished);
  field("stopped_early", state.stopped_early);
  field("failure", state.failure);
  field("failure_kind", state.failure_kind);
  field("restarts", state.restarts);
  field("restarts_without_progress", state.restarts_without_progress);
  field("highest_step", state.highest_step);
  field("step_at_crash", state.step_at_crash);
  field("uploads", state.uploads);
  field("final_queued", state.final_queued);
  field("upload_takes", state.upload_takes);
  field("rescue_until", state.rescue_until);
  field("reclaimed_at", state.reclaimed_at);
  field("logs_sent", state.logs_sent);
  field("logs_done", state.logs_done);
  field("status_sent_at", state.status_sent_at);
  field("kept_until", state.kept_until);
  field("destroy_calls", state.destroy_calls);
  field("next_destroy_at", state.next_destroy_at);
  field("next_look_at", state.next_look_at);
  field("destroy_answer", state.destroy_answer);
  field("destroy_accepted_at", state.destroy_accepted_at);
  field("instance_seen", state.instance_seen);
  field("unlisted_looks", state.unlisted_looks);
  field("gone", state.gone);
  field("warnings", state.warnings);
}

void fields(auto& limits, auto&& field) requires Is<decltype(limits), LimitsConfig> {
  field("spend_limit", limits.spend_limit);
  field("ttl_hours", limits.ttl_hours);
  field("idle_minutes", limits.idle_minutes);
  field("stall_minutes", limits.stall_minutes);
  field("reserve", limits.reserve);
  field("rescue_budget", limits.rescue_budget);
  field("upload_timeout", limits.upload_timeout);
  field("failure_grace_minutes", limits.failure_grace_minutes);
  field("on_complete", limits.on_complete);
  field("on_failure", limits.on_failure);
}

void fields(auto& price, auto&& field) requires Is<decltype(price), Price> {
  field("per_hour", price.per_hour);
  field("billing_step", price.billing_step);
}

void fields(auto& limit, auto&& field) requires Is<decltype(limit), LimitPolicy> {
  field("limits", limit.limits);
  field("price", limit.price);
  field("destroying_takes", limit.destroying_takes);
}

void fields(auto& policy, auto&& field) requires Is<decltype(policy), AgentPolicy> {
  field("limit", policy.limit);
  field("has_hub", policy.has_hub);
  field("sinks", policy.sinks);
  field("keeps_disk", policy.keeps_disk);
  field("push_checkpoints", policy.push_checkpoints);
  field("checkpoint_every_epochs", policy.checkpoint_every_epochs);
  field("status_every", policy.status_every);
}

void fields(auto& trainer, auto&& field) requires Is<decltype(trainer), TrainerView> {
  field("kind", trainer.kind);
  field("code", trainer.code);
  field("memory_ran_out", trainer.memory_ran_out);
}

void fields(auto& newest, auto&& field) requires Is<decltype(newest), NewestCheckpoint> {
  field("folder", newest.folder);
  field("step", newest.step);
}

void fields(auto& answer, auto&& field) requires Is<decltype(answer), DestroyAnswer> {
  field("accepted", answer.accepted);
  field("text", answer.text);
}

void fields(auto& request, auto&& field) requires Is<decltype(request), Request> {
  field("kind", request.kind);
  field("by", request.by);
  field("at", request.at);
  field("file", request.file);
  field("minutes", request.minutes);
  field("spend", request.spend);
}

}  // namespace mayfly
