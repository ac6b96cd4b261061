#include "agent/extension.h"

#include <algorithm>
#include <cmath>

namespace mayfly {

namespace {

Extension refusal(const std::string& why) {
  Extension none;
  none.refused = why;
  return none;
}

// How much of `asked` fits below twice the plan's limit.
template <class T>
T fitting(T asked, T planned, T granted_before) {
  return std::clamp(asked, T{}, std::max(T{}, planned - granted_before));
}

}  // namespace

Extension allowed_extension(const AgentPolicy& policy, const AgentState& state,
                            const Request& request) {
  const LimitsConfig& planned = policy.limit.limits;
  if (state.reason != StopReason::none) return refusal("the run is ending already");
  const bool sensible = std::isfinite(request.minutes) && request.minutes >= 0 &&
                        request.spend.micros >= 0 &&
                        (request.minutes > 0 || request.spend.micros > 0);
  if (!sensible) return refusal("neither minutes nor dollars to add");
  if (request.minutes > 0 && !planned.ttl_hours) return refusal("the run has no time limit");

  Extension granted;
  granted.spend = fitting(request.spend, planned.spend_limit, state.extra_spend);
  if (planned.ttl_hours) {
    const Age ttl = minutes_of(*planned.ttl_hours * 60.0);
    const Age asked = minutes_of(std::min(request.minutes, *planned.ttl_hours * 60.0));
    granted.time = fitting(asked, ttl, state.extra_time);
  }
  if (granted.spend.micros == 0 && granted.time == Age::zero()) {
    return refusal("they are at twice what the plan says");
  }
  if (granted.spend.micros > 0) granted.text += " by " + format_usd(granted.spend);
  if (granted.time > Age::zero()) {
    granted.text += (granted.text.empty() ? " by " : " and ") +
                    format_duration(std::chrono::duration_cast<std::chrono::seconds>(granted.time));
  }
  return granted;
}

LimitPolicy limits_now(const AgentPolicy& policy, const AgentState& state) {
  LimitPolicy now = policy.limit;
  now.limits.spend_limit = now.limits.spend_limit + state.extra_spend;
  if (now.limits.ttl_hours) {
    *now.limits.ttl_hours +=
        std::chrono::duration<double, std::ratio<3600>>(state.extra_time).count();
  }
  // Three times what an upload took, and half of what the plan keeps for everything else.
  const auto measured = std::chrono::ceil<std::chrono::seconds>(3 * state.upload_takes);
  now.limits.reserve = std::max(now.limits.reserve, measured + now.limits.reserve / 2);
  return now;
}

}  // namespace mayfly
