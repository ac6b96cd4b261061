#include <algorithm>
#include <csignal>

#include "agent/decision.h"

namespace mayfly {

// What another life of the agent had under way is not under way any more.
void Decision::take_in_restart() {
  state_.tests_started = false;
  state_.fetch_started = false;
  state_.fuse_asked.clear();
  for (Upload& upload : state_.uploads) {
    if (upload.state != Upload::State::sending) continue;
    upload.state = Upload::State::waiting;
    upload.retry_at = seen_.age;
  }
  if (state_.logs_sent && !state_.logs_done) state_.logs_sent = false;
  state_.next_destroy_at = seen_.age;
  state_.next_look_at = seen_.age;
  if (state_.stage == Stage::saving && trainer_runs()) {
    // Whether that life had sent its SIGTERM is not known, and a second one would end the trainer
    // without saving. A checkpoint can be asked for twice.
    state_.kill_when_saved = true;
    signal_trainer(SIGUSR1);
  }
}

void Decision::progressed(bool by_trainer) {
  state_.progress_at = seen_.age;
  if (by_trainer) state_.trainer_progress_at = seen_.age;
}

void Decision::take_in_events() {
  for (const Event& event : seen_.events) {
    if (event.seq < state_.next_seq) continue;  // read before, by an earlier life
    state_.next_seq = event.seq + 1;
    event_time_ = event.time;
    std::visit([&](const auto& body) { take_in(body); }, event.body);
  }
}

void Decision::take_in(const StartedEvent&) {
  state_.trainer_seen = true;
  state_.finished = false;
  state_.stopped_early = false;
  state_.failure.clear();
  state_.failure_kind.clear();
  state_.progress.last_step_at.reset();
  progressed(true);
}

void Decision::take_in(const StageEvent& event) {
  const bool grew = event.name != state_.progress.stage || event.done > state_.progress.stage_done;
  state_.progress.stage = event.name;
  state_.progress.stage_done = event.done;
  if (grew) progressed(true);
}

void Decision::take_in(const DataEvent& event) {
  state_.progress.total_steps = event.total_steps;
  progressed(true);
}

void Decision::take_in(const StepEvent& event) {
  Progress& progress = state_.progress;
  progress.stage = "steps";
  progress.step = event.step;
  progress.total_steps = event.of;
  progress.epoch = event.epoch;
  progress.loss = event.loss;
  progress.tokens_per_second = event.tokens_per_second;
  measure_step(progress);
  state_.highest_step = std::max(state_.highest_step, event.step);
  progressed(true);
}

// Smoothed over about ten steps, for the estimate of when it will be done.
void Decision::measure_step(Progress& progress) {
  if (progress.last_step_at && event_time_ > *progress.last_step_at) {
    const double took = std::chrono::duration<double>(event_time_ - *progress.last_step_at).count();
    const double before = progress.seconds_per_step.value_or(took);
    progress.seconds_per_step = before + (took - before) / 10.0;
  }
  progress.last_step_at = event_time_;
}

void Decision::take_in(const EvaluatedEvent& event) {
  state_.progress.held_out = event.loss;
  if (event.step == 0) state_.progress.held_out_before = event.loss;
  progressed(true);
}

void Decision::take_in(const CheckpointEvent& event) {
  progressed(true);
  if (state_.kill_when_saved) kill_trainer();
  if (wants_upload(event)) {
    add_upload("checkpoint-epoch-" + std::to_string(*event.whole_epoch), event.path, event.step);
  } else if (state_.reason == StopReason::none && !is_among_uploads(event.path)) {
    act({.kind = ActionKind::release_checkpoint, .folder = event.path});
  }
}

void Decision::take_in(const WarningEvent& event) {
  warn(event.what);
}

void Decision::take_in(const FailedEvent& event) {
  state_.failure = event.what;
  state_.failure_kind = event.kind;
}

void Decision::take_in(const FinishedEvent& event) {
  state_.finished = !event.stopped;
  state_.stopped_early = event.stopped;
  progressed(true);
}

void Decision::take_in_fetching() {
  if (seen_.fetch.bytes > state_.fetched_bytes) progressed(false);
  state_.fetched_bytes = seen_.fetch.bytes;
  if (seen_.fetch.kind == FetchView::Kind::running) state_.progress.stage = seen_.fetch.what;
}

}  // namespace mayfly
