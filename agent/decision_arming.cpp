#include <algorithm>

#include "agent/decision.h"
#include "agent/ending.h"
#include "core/report_error.h"

namespace mayfly {

namespace {

// A hub that cannot be used is no reason to end where the work is safe without it.
bool can_do_without(const SelfTest& test, const AgentPolicy& policy) {
  if (test.name != "hub") return false;
  return policy.sinks > 1 || (policy.keeps_disk && !is_final(*test.error));
}

}  // namespace

// What fails for a reason that may pass is tried again for ten minutes, all tests anew.
void Decision::arm() {
  const bool out_of_time = seen_.age - state_.entered_at >= kArmingTakes;
  if (seen_.self_tests.kind == SelfTestView::Kind::done && state_.tests_started) {
    const SelfTest* failed = nullptr;
    for (const SelfTest& test : seen_.self_tests.results) {
      if (!test.error) continue;
      if (can_do_without(test, policy_)) {
        warn("the hub cannot be used now: " + test.error->message);
        continue;
      }
      if (is_final(*test.error) || out_of_time) return fail_arming(test);
      if (failed == nullptr) failed = &test;
    }
    if (failed == nullptr) {
      enter(Stage::fetching);
      return fetch();
    }
    if (seen_.age < state_.tests_again_at) return;
    state_.tests_started = false;
  }
  if (only_hub_is_missing()) {
    warn("the hub has not answered yet");
    enter(Stage::fetching);
    return fetch();
  }
  if (out_of_time) {
    return fail_arming({"time", Error{ErrorKind::guard, "the self-tests did not end"}});
  }
  if (!state_.tests_started) {
    state_.tests_started = true;
    state_.tests_again_at = seen_.age + kTestAgain;
    act({.kind = ActionKind::start_self_tests});
  }
}

// A hub that is down is asked again and again for minutes before that counts as an answer.
bool Decision::only_hub_is_missing() const {
  const SelfTestView& tests = seen_.self_tests;
  const bool waited = seen_.age >= state_.tests_again_at - kTestAgain + kHubTakes;
  const bool safe_without = policy_.sinks > 1 || policy_.keeps_disk;
  return state_.tests_started && tests.kind == SelfTestView::Kind::running && waited &&
         safe_without && !tests.results.empty() &&
         std::all_of(tests.results.begin(), tests.results.end(),
                     [](const SelfTest& test) { return !test.error; });
}

void Decision::fail_arming(const SelfTest& test) {
  state_.failure_kind = error_code(test.error->kind);
  stop(StopReason::failed, "self-test \"" + test.name + "\": " + test.error->message);
}

}  // namespace mayfly
