#include <algorithm>
#include <csignal>

#include "agent/decision.h"
#include "agent/extension.h"

namespace mayfly {

namespace {

// Only one that was answered just before a crash can come up again.
constexpr std::size_t kAnswersKept = 16;

}  // namespace

void Decision::take_in_requests() {
  for (const Request& request : seen_.requests) take_in_request(request);
  for (int asked = seen_.terminations; asked > 0 && !is_ending(); --asked) {
    ask_to_stop(StopReason::terminated, "the agent was told to end (SIGTERM)");
  }
}

void Decision::take_in_request(const Request& request) {
  const bool over = is_ending();
  if (request.kind == RequestKind::extend && !over) return extend(request);
  act({.kind = ActionKind::close_request, .request = request});
  if (over) return;
  switch (request.kind) {
    case RequestKind::checkpoint:
      if (trainer_runs()) signal_trainer(SIGUSR1);
      return;
    case RequestKind::down_now:
      stop(StopReason::asked, "asked to destroy at once by " + request.by);
      return destroy();
    case RequestKind::down:
      return ask_to_stop(StopReason::asked, "asked to stop by " + request.by);
    case RequestKind::extend:
      return;  // answered above
  }
}

// The first request saves; a second one, while saving, does not wait for it any longer.
void Decision::ask_to_stop(StopReason reason, const std::string& detail) {
  if (state_.stage == Stage::saving) {
    kill_trainer();
  } else if (state_.stage == Stage::kept) {
    destroy();
  } else {
    stop(reason, detail);
  }
}

// About two minutes are left, and nobody asks for them: everything is done at once, in the order of
// what would be missed most.
void Decision::take_in_reclaim() {
  if (!seen_.reclaim_notice || is_ending() || state_.reclaimed_at < kNever) return;
  state_.reclaimed_at = seen_.age + kReclaimTakes;
  if (state_.stage == Stage::kept) return destroy();
  stop(StopReason::reclaimed, "the provider takes this machine away");
}

// Two turns: first the fuse is moved, since it would end the instance at the old limits; only when
// that is done do the limits rise and the request is closed. A life of the agent that ends between
// the two leaves a fuse that is late, and the next life asks again.
void Decision::extend(const Request& request) {
  const auto& taken = state_.extensions;
  if (std::find(taken.begin(), taken.end(), request.file) != taken.end()) {
    return act({.kind = ActionKind::close_request, .request = request});
  }
  const Extension wanted = allowed_extension(policy_, state_, request);
  const bool answered = state_.fuse_asked == request.file && seen_.fuse_moved;
  std::string refused = wanted.refused;
  if (answered && !*seen_.fuse_moved) refused = seen_.fuse_moved->error().message;
  if (!refused.empty()) {
    warn("limits not raised: " + refused);
  } else if (!answered) {
    if (state_.fuse_asked == request.file) return;  // under way
    state_.fuse_asked = request.file;
    AgentState raised = state_;
    raised.extra_spend = raised.extra_spend + wanted.spend;
    raised.extra_time += wanted.time;
    return act({.kind = ActionKind::move_fuse,
                .fuse_at = first_deadline(limits_now(policy_, raised)).destroy_at});
  } else {
    state_.extra_spend = state_.extra_spend + wanted.spend;
    state_.extra_time += wanted.time;
    limit_ = limits_now(policy_, state_);
    warn("limits raised" + wanted.text + ", asked by " + request.by);
  }
  state_.fuse_asked.clear();
  state_.extensions.push_back(request.file);
  if (state_.extensions.size() > kAnswersKept) state_.extensions.erase(state_.extensions.begin());
  act({.kind = ActionKind::close_request, .request = request});
}

}  // namespace mayfly
