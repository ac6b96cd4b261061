// How far the limits of a running run may be raised. Pure.
//
// A limit can at most double over the life of a run, however often somebody asks, and nothing is
// raised any more once the run has begun to stop: `extend` can delay the end, never do away with
// it.
#pragma once

#include <string>

#include "agent/state.h"

namespace mayfly {

struct Extension {
  Usd spend;
  Age time{};
  std::string text;     // " by $5.00 and 30m", what is granted
  std::string refused;  // why nothing is
};

// What `request` (of kind extend) gets: what it asks for, less what goes past twice the plan's
// limit.
Extension allowed_extension(const AgentPolicy& policy, const AgentState& state,
                            const Request& request);

// The plan's limits with everything that was granted so far, and the reserve that the uploads seen
// so far call for.
LimitPolicy limits_now(const AgentPolicy& policy, const AgentState& state);

}  // namespace mayfly
