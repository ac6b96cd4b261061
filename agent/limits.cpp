#include "agent/limits.h"

#include <algorithm>

#include "core/run/rescue_budget.h"

namespace mayfly {

namespace {

Deadline with_reserve(StopReason reason, Age destroy_at, Age reserve, Age rescue) {
  const Age kept = reserve + rescue;
  if (kept > destroy_at / 2) {  // both shrink alike
    rescue = Age(static_cast<std::int64_t>(static_cast<double>(rescue.count()) *
                                           static_cast<double>(destroy_at.count()) / 2.0 /
                                           static_cast<double>(kept.count())));
  }
  return {reason, destroy_at - std::min(kept, destroy_at / 2), destroy_at - rescue, destroy_at};
}

}  // namespace

Age minutes_of(double minutes) {
  return Age(static_cast<std::int64_t>(minutes * 60'000.0));
}

std::string_view stop_reason_name(StopReason reason) {
  switch (reason) {
    case StopReason::none:
      return "";
    case StopReason::finished:
      return "finished";
    case StopReason::failed:
      return "failed";
    case StopReason::spend_limit:
      return "spend_limit";
    case StopReason::ttl:
      return "ttl";
    case StopReason::idle:
      return "idle";
    case StopReason::stalled:
      return "stalled";
    case StopReason::reclaimed:
      return "reclaimed";
    case StopReason::asked:
      return "asked";
    case StopReason::terminated:
      return "terminated";
  }
  return "";
}

Age rescue_time(const LimitPolicy& policy) {
  if (policy.price.per_hour.micros == 0) return std::chrono::minutes(15);
  const Usd budget = rescue_budget(policy.limits, policy.price);
  return Age(static_cast<std::int64_t>(static_cast<double>(budget.micros) * 3'600'000.0 /
                                       static_cast<double>(policy.price.per_hour.micros)));
}

Deadline spend_deadline(const LimitPolicy& policy) {
  const WallTime start{};
  const WallTime by = SpendMeter(policy.price, start)
                          .destroy_by(policy.limits.spend_limit, policy.destroying_takes);
  if (by == WallTime::max()) return {StopReason::spend_limit, kNever, kNever, kNever};
  return with_reserve(StopReason::spend_limit, by - start, policy.limits.reserve,
                      rescue_time(policy));
}

Deadline ttl_deadline(const LimitPolicy& policy) {
  if (!policy.limits.ttl_hours) return {StopReason::ttl, kNever, kNever, kNever};
  const Age ttl = std::min(minutes_of(*policy.limits.ttl_hours * 60.0), kNever);
  const Age by = std::max(Age::zero(), ttl - Age(policy.destroying_takes));
  return with_reserve(StopReason::ttl, by, policy.limits.reserve, Age::zero());
}

Deadline first_deadline(const LimitPolicy& policy) {
  const Deadline spend = spend_deadline(policy);
  const Deadline ttl = ttl_deadline(policy);
  Deadline first = ttl.stop_at < spend.stop_at ? ttl : spend;
  first.destroy_at = std::min(spend.destroy_at, ttl.destroy_at);
  first.rescue_at = std::min(spend.rescue_at, ttl.rescue_at);
  return first;
}

bool is_idle(const LimitsConfig& limits, Age now, Age last_progress) {
  return limits.idle_minutes > 0 && now - last_progress >= minutes_of(limits.idle_minutes);
}

bool is_stalled(const LimitsConfig& limits, Age now, Age last_trainer_progress) {
  return limits.stall_minutes > 0 &&
         now - last_trainer_progress >= minutes_of(limits.stall_minutes);
}

}  // namespace mayfly
