// The agent's memory as agent/state.json.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "agent/age.h"
#include "agent/state.h"

namespace mayfly {

// What a later life of the agent goes on from.
struct AgentMemory {
  std::string run_id;
  AgeMark mark;
  AgentState state;
};

nlohmann::json memory_to_json(const AgentMemory& memory);
// Error: corrupt.
Result<AgentMemory> memory_from_json(const nlohmann::json& json);

}  // namespace mayfly
