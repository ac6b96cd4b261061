#include "core/run/spend_meter.h"

#include <algorithm>
#include <cassert>

namespace mayfly {

using namespace std::chrono;

namespace {

constexpr std::int64_t kSecondsPerHour = 3600;
// Money times seconds does not fit into 64 bits: a thousand million dollars an hour over a year.
using Wide = __int128;
// Further ahead than any run; keeps time points far from the edge of their range.
constexpr Wide kFarSeconds = Wide(100) * 365 * 24 * kSecondsPerHour;

}  // namespace

SpendMeter::SpendMeter(Price price, WallTime created_at) : price_(price), created_at_(created_at) {
  assert(price.per_hour.micros >= 0);
  assert(price.billing_step > seconds::zero());
}

Usd SpendMeter::spent(WallTime now) const {
  const std::int64_t elapsed_ms = (now - created_at_).count();
  if (elapsed_ms <= 0) return {};
  const std::int64_t step_ms = milliseconds(price_.billing_step).count();
  const Wide steps = (Wide(elapsed_ms) + step_ms - 1) / step_ms;
  const Wide billed = steps * price_.billing_step.count() * price_.per_hour.micros;
  return {static_cast<std::int64_t>((billed + kSecondsPerHour - 1) / kSecondsPerHour)};
}

WallTime SpendMeter::destroy_by(Usd limit, seconds destroy_takes) const {
  if (price_.per_hour.micros == 0) return WallTime::max();
  const Wide per_step = Wide(price_.per_hour.micros) * price_.billing_step.count();
  const Wide steps = Wide(std::max<std::int64_t>(limit.micros, 0)) * kSecondsPerHour / per_step;
  const Wide paid_seconds = steps * price_.billing_step.count();
  if (paid_seconds > kFarSeconds) return WallTime::max();
  const WallTime last = created_at_ + seconds(static_cast<std::int64_t>(paid_seconds));
  return std::max(created_at_, last - destroy_takes);
}

}  // namespace mayfly
