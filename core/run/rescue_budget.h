// What may be spent, within the spend limit, on a final adapter that the reserve did not get
// uploaded: another try, another place. Nothing of it is spent when that is safe.
#pragma once

#include "core/config/limits_config.h"
#include "core/run/spend_meter.h"
#include "core/usd.h"

namespace mayfly {

// The plan's limits.rescue_budget, or the least of $5, 5 % of the spend limit and 15 minutes of the
// machine.
Usd rescue_budget(const LimitsConfig& limits, const Price& price);

}  // namespace mayfly
