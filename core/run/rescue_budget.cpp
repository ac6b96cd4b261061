#include "core/run/rescue_budget.h"

#include <algorithm>

namespace mayfly {

Usd rescue_budget(const LimitsConfig& limits, const Price& price) {
  if (limits.rescue_budget) return *limits.rescue_budget;
  return std::min(
      {dollars(5), Usd{limits.spend_limit.micros / 20}, Usd{price.per_hour.micros / 4}});
}

}  // namespace mayfly
