#include <csignal>

#include "agent/decision.h"
#include "agent/ending.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

// A crash that says nothing (a signal from outside) is tried more often than one with a reason.
constexpr int kRestartsUnexplained = 3;
constexpr int kRestartsExplained = 1;

}  // namespace

void Decision::fetch() {
  if (seen_.fetch.kind == FetchView::Kind::failed) {
    return stop(StopReason::failed, seen_.fetch.error->message);
  }
  if (seen_.fetch.kind == FetchView::Kind::done) {
    state_.progress.stage.clear();
    enter(Stage::training);
    return start_trainer();
  }
  if (!state_.fetch_started) {
    state_.fetch_started = true;
    act({.kind = ActionKind::start_fetch});
  }
}

void Decision::start_trainer() {
  // An age that jumped, over a reboot: this same turn ends the run (keep_deadlines).
  if (seen_.age >= first_deadline(limit_).stop_at) return;
  state_.trainer_wanted = true;
  if (seen_.trainer.kind == TrainerView::Kind::running) {
    // A life of the agent whose last state was not saved had started it: there is never a second.
    state_.trainer_seen = true;
    return progressed(true);
  }
  state_.trainer_seen = false;
  state_.trainer_killed = false;
  state_.stall_kill = false;
  state_.stack_asked_at.reset();
  state_.finished = false;
  state_.stopped_early = false;
  state_.failure.clear();
  state_.failure_kind.clear();
  progressed(true);
  act({.kind = ActionKind::start_trainer});
}

void Decision::train() {
  if (seen_.trainer.kind == TrainerView::Kind::running) {
    state_.trainer_seen = true;
    return watch_for_stall();
  }
  // Told to start by a life of the agent that ended before it could: that is no crash.
  const bool never_was = seen_.trainer.kind == TrainerView::Kind::none && !state_.trainer_seen;
  if (never_was) return start_trainer();
  state_.trainer_wanted = false;
  if (state_.stack_asked_at) state_.stall_kill = true;  // what is told to print may also just end
  if (state_.finished && seen_.trainer.code.value_or(0) == 0) {
    return stop(StopReason::finished, "training is done");
  }
  after_crash();
}

void Decision::watch_for_stall() {
  if (!is_stalled(limit_.limits, seen_.age, state_.trainer_progress_at)) {
    if (!state_.stall_kill) state_.stack_asked_at.reset();  // it moves again
    return;
  }
  if (!state_.stack_asked_at) {
    state_.stack_asked_at = seen_.age;
    return signal_trainer(SIGQUIT);
  }
  const Age since = seen_.age - *state_.stack_asked_at;
  if (since < kStackTakes) return;
  state_.stall_kill = true;
  kill_trainer();
  // It does not even die: stuck in a driver, say. Nothing can be restarted beside it.
  if (since >= kStackTakes + kDeathTakes) {
    state_.trainer_wanted = false;
    stop(StopReason::stalled, "the trainer made no progress and cannot be killed");
  }
}

void Decision::after_crash() {
  if (seen_.trainer.memory_ran_out) {
    state_.failure_kind = "out_of_memory";
    state_.failure = "the machine's memory ran out, and the kernel killed the trainer";
  }
  if (state_.highest_step > state_.step_at_crash) state_.restarts_without_progress = 0;
  state_.step_at_crash = state_.highest_step;
  const bool explained = !state_.failure.empty() || state_.stall_kill;
  const int allowed = explained ? kRestartsExplained : kRestartsUnexplained;
  if (is_hopeless(state_.failure_kind) || state_.restarts_without_progress >= allowed) {
    return stop(state_.stall_kill ? StopReason::stalled : StopReason::failed, crash_text());
  }
  ++state_.restarts;
  ++state_.restarts_without_progress;
  warn("trainer restarted: " + crash_text());
  start_trainer();
}

std::string Decision::crash_text() const {
  if (state_.stall_kill) return "the trainer made no progress";
  if (!state_.failure.empty()) return state_.failure;
  if (!seen_.trainer.code) return "the trainer ended without saying why";
  const int code = *seen_.trainer.code;
  if (code > 128) return "the trainer was ended by signal " + std::to_string(code - 128);
  return "the trainer ended with code " + std::to_string(code);
}

void Decision::save() {
  const Age late = seen_.age - save_until(state_);
  if (seen_.trainer.kind != TrainerView::Kind::running) {
    state_.trainer_wanted = false;
    if (state_.finished) {  // it was done just when it was asked to stop
      state_.reason = StopReason::finished;
      state_.detail = "training is done";
    }
    return enter(Stage::uploading);
  }
  if (late >= 0ms) kill_trainer();
  if (late >= kDeathTakes) enter(Stage::uploading);  // it is stuck: go on without
}

}  // namespace mayfly
