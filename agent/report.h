// The agent's state as the documents that others read: the run's status, the receipt. Pure.
#pragma once

#include <string>

#include "agent/state.h"
#include "core/provider/receipt.h"
#include "core/run/plan.h"
#include "core/run/run_status.h"

namespace mayfly {

RunStatus make_status(const RunPlan& plan, const InstanceId& instance, const AgentPolicy& policy,
                      const AgentState& state, WallTime created_at, WallTime now, Age age);

// Of a destroy call that was accepted; not confirmed by anything yet.
Receipt make_receipt(const RunPlan& plan, const InstanceId& instance, const AgentPolicy& policy,
                     const AgentState& state, WallTime created_at, Age age);

// From the plan: what the decisions depend on.
AgentPolicy make_policy(const RunPlan& plan, std::chrono::seconds destroying_takes);

}  // namespace mayfly
