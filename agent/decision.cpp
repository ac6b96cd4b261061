#include "agent/decision.h"

#include <csignal>

#include "agent/extension.h"

namespace mayfly {

namespace {

constexpr std::size_t kWarningsKept = 5;

}  // namespace

Decision::Decision(const AgentPolicy& policy, AgentState& state, const Observation& seen)
    : policy_(policy), state_(state), seen_(seen), limit_(limits_now(policy, state)) {}

std::vector<Action> Decision::decide() {
  if (seen_.agent_started) take_in_restart();
  take_in_events();
  take_in_fetching();
  take_in_uploads();
  take_in_reclaim();
  take_in_requests();
  take_in_destroying();
  run_stage();
  keep_deadlines();
  if (!is_ending()) retry_uploads();
  if (state_.stage == Stage::destroying) ask_destroy();
  return std::move(actions_);
}

void Decision::run_stage() {
  switch (state_.stage) {
    case Stage::arming:
      return arm();
    case Stage::fetching:
      return fetch();
    case Stage::training:
      return train();
    case Stage::saving:
      return save();
    case Stage::uploading:
      return upload();
    case Stage::kept:
      if (seen_.age >= state_.kept_until) destroy();
      return;
    case Stage::destroying:
    case Stage::confirming:
      return confirm();
  }
}

bool Decision::is_ending() const {
  return mayfly::is_ending(state_.stage);
}

bool Decision::trainer_runs() const {
  return state_.trainer_wanted && seen_.trainer.kind == TrainerView::Kind::running;
}

void Decision::enter(Stage stage) {
  state_.stage = stage;
  state_.entered_at = seen_.age;
}

// Ends fetching or training in good order. The first reason stays.
void Decision::stop(StopReason reason, const std::string& detail) {
  if (state_.reason != StopReason::none) return;
  state_.reason = reason;
  state_.detail = detail;
  if (trainer_runs() && reason != StopReason::finished) {
    signal_trainer(SIGTERM);
    enter(Stage::saving);
  } else {
    enter(Stage::uploading);
  }
}

void Decision::kill_trainer() {
  if (state_.trainer_killed || !trainer_runs()) return;
  state_.trainer_killed = true;
  signal_trainer(SIGKILL);
}

void Decision::signal_trainer(int signal) {
  act({.kind = ActionKind::signal_trainer, .signal = signal});
}

void Decision::warn(const std::string& text) {
  state_.warnings.push_back(text);
  if (state_.warnings.size() > kWarningsKept) state_.warnings.erase(state_.warnings.begin());
}

void Decision::act(Action action) {
  actions_.push_back(std::move(action));
}

}  // namespace mayfly
