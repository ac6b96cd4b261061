#include <algorithm>
#include <cassert>

#include "agent/decision.h"
#include "agent/ending.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

bool is_over(InstanceState state) {
  return state == InstanceState::terminating || state == InstanceState::gone;
}

}  // namespace

void Decision::keep_deadlines() {
  if (is_ending()) return;
  const Deadline deadline = first_deadline(limit_);
  if (seen_.age >= deadline.stop_at) {
    const bool money = deadline.reason == StopReason::spend_limit;
    stop(deadline.reason, money ? "the spend limit is reached" : "the time limit is reached");
  }
  if (seen_.age >= std::min(deadline.destroy_at, state_.reclaimed_at)) return destroy();
  if (is_working() && is_idle(limit_.limits, seen_.age, state_.progress_at)) {
    stop(StopReason::idle, "nothing progressed for too long");
  }
  if (is_working() && policy_.has_hub &&
      seen_.age - state_.status_sent_at >= Age(policy_.status_every)) {
    state_.status_sent_at = seen_.age;
    act({.kind = ActionKind::send_status});
  }
}

bool Decision::is_working() const {
  return state_.stage == Stage::fetching || state_.stage == Stage::training;
}

void Decision::decide_exit_code() {
  state_.exit_code = static_cast<int>(ending_code(policy_, state_, seen_.fetch.error));
}

void Decision::conclude() {
  decide_exit_code();
  const bool failed = state_.reason == StopReason::failed || state_.reason == StopReason::stalled;
  const bool done = state_.reason == StopReason::finished;
  const AtEnd at_end = failed ? limit_.limits.on_failure : limit_.limits.on_complete;
  if ((failed || done) && at_end == AtEnd::keep) return enter(Stage::kept);
  if (failed && limit_.limits.failure_grace_minutes > 0) {
    state_.kept_until = seen_.age + minutes_of(limit_.limits.failure_grace_minutes);
    return enter(Stage::kept);
  }
  destroy();
}

void Decision::destroy() {
  assert(state_.reason != StopReason::none);
  if (is_ending()) return;
  if (!state_.exit_code) decide_exit_code();
  kill_trainer();
  enter(Stage::destroying);
  state_.next_destroy_at = seen_.age;
}

void Decision::take_in_destroying() {
  if (seen_.destroy) {
    state_.destroy_answer = seen_.destroy->text;
    if (seen_.destroy->accepted && state_.stage == Stage::destroying) {
      if (!state_.destroy_accepted_at) state_.destroy_accepted_at = seen_.now;
      act({.kind = ActionKind::write_receipt});
      enter(Stage::confirming);
      state_.next_look_at = seen_.age;
    }
  }
  if (seen_.instance && *seen_.instance) state_.instance_seen = true;
  if (seen_.instance && is_ending()) {
    // Not listed is no proof for an instance that the provider has never listed so far.
    const bool unlisted = !*seen_.instance && seen_.instance->error().kind == ErrorKind::not_found;
    if (unlisted) ++state_.unlisted_looks;
    // The age is the more careful reading of several clocks, so it may be too high: time that this
    // agent has looked for counts as well.
    const bool was_listed = state_.instance_seen ||
                            (seen_.age >= kListedWithin && state_.unlisted_looks >= kUnlistedLooks);
    state_.gone =
        (unlisted && was_listed) || (*seen_.instance && **seen_.instance == InstanceState::gone);
  } else if (seen_.instance && *seen_.instance && is_over(**seen_.instance)) {
    // Asked by somebody else, or by an earlier life whose memory was lost with a full disk.
    stop(StopReason::asked, "the provider is ending this instance");
    destroy();
  }
}

void Decision::ask_destroy() {
  if (state_.gone || seen_.age < state_.next_destroy_at) return;
  const int doublings = std::min(state_.destroy_calls, 5);
  ++state_.destroy_calls;
  state_.next_destroy_at = seen_.age + std::min<Age>(kDestroyRetry, Age(1s) * (1 << doublings));
  act({.kind = ActionKind::ask_destroy});
}

void Decision::confirm() {
  if (state_.stage != Stage::confirming || state_.gone) return;
  if (seen_.age - state_.entered_at >= kConfirmTakes) {
    enter(Stage::destroying);
    state_.next_destroy_at = seen_.age;
    return;
  }
  // An accepted call can be lost on the provider's side: an instance that runs is asked again.
  const bool still_runs = seen_.instance && *seen_.instance && !is_over(**seen_.instance);
  if (still_runs && seen_.age >= state_.next_destroy_at) {
    enter(Stage::destroying);
    state_.next_destroy_at = seen_.age;
    return;
  }
  if (seen_.age < state_.next_look_at) return;
  state_.next_look_at = seen_.age + kLookEvery;
  act({.kind = ActionKind::look_at_instance});
}

}  // namespace mayfly
