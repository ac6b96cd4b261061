#include "agent/state_json.h"

#include <nlohmann/json.hpp>

#include "agent/field_json.h"
#include "agent/state_fields.h"

namespace mayfly {

using nlohmann::json;

json memory_to_json(const AgentMemory& memory) {
  return {{"version", 1},
          {"run_id", memory.run_id},
          {"boot_id", memory.mark.boot_id},
          {"steady_ms", memory.mark.steady.time_since_epoch().count()},
          {"age_ms", memory.mark.age.count()},
          {"state", written(memory.state)}};
}

Result<AgentMemory> memory_from_json(const json& from) {
  try {
    AgentMemory memory;
    memory.run_id = from.at("run_id");
    memory.mark.boot_id = from.at("boot_id");
    memory.mark.steady =
        SteadyTime(std::chrono::milliseconds(from.at("steady_ms").get<std::int64_t>()));
    memory.mark.age = Age(from.at("age_ms").get<std::int64_t>());
    FieldReader::get(from.at("state"), memory.state);
    return memory;
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, "the agent's state: " + std::string(error.what())};
  }
}

}  // namespace mayfly
