// Why a run has to stop: money, time, idleness. Pure arithmetic on the age of the instance, which
// counts from its creation and never goes back (agent/age.h), so no clock that jumps moves a limit.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/config/limits_config.h"
#include "core/run/spend_meter.h"

namespace mayfly {

// Time since the instance was created.
using Age = std::chrono::milliseconds;
constexpr Age kNever = std::chrono::hours(24 * 365 * 1000);
Age minutes_of(double minutes);

enum class StopReason {
  none,
  finished,
  failed,  // the trainer, or fetching
  spend_limit,
  ttl,
  idle,
  stalled,
  reclaimed,   // the provider takes the machine away
  asked,       // launch down
  terminated,  // SIGTERM
};
std::string_view stop_reason_name(StopReason reason);

// When one limit wants what. Between the first two the work is saved and uploaded; what is not safe
// by the second may spend the rescue budget: another sink, the adapter before all else.
struct Deadline {
  StopReason reason = StopReason::none;
  Age stop_at = kNever;     // end training in good order
  Age rescue_at = kNever;   // the reserve is gone
  Age destroy_at = kNever;  // destroy, whatever is unsaved
};

// What limits are computed from; fixed for a run.
struct LimitPolicy {
  LimitsConfig limits;
  Price price;
  std::chrono::seconds destroying_takes{};  // from the call until billing ends
};

// How long the rescue budget (core/run/rescue_budget.h) lasts; 15 minutes where the machine is
// free.
Age rescue_time(const LimitPolicy& policy);

// Reserve and rescue budget are taken inside the limit, and are together at most half of what the
// limit buys, so that a small limit still leaves time to train.
Deadline spend_deadline(const LimitPolicy& policy);
Deadline ttl_deadline(const LimitPolicy& policy);
// Of the two, the one whose orderly stop comes first; and the earlier of the two destroy times.
Deadline first_deadline(const LimitPolicy& policy);

// Whether nothing has progressed for too long.
bool is_idle(const LimitsConfig& limits, Age now, Age last_progress);
bool is_stalled(const LimitsConfig& limits, Age now, Age last_trainer_progress);

}  // namespace mayfly
