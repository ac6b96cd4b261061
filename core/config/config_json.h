// A config as JSON: whole, every field, in sections; inside the plan and for `config show`. Secrets
// are left out.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/config/run_config.h"
#include "core/result.h"

namespace mayfly {

nlohmann::json config_to_json(const RunConfig& config);

// A field that is not there keeps its default; one that is not ours is refused. Error: corrupt,
// with the field's path.
Result<RunConfig> config_from_json(const nlohmann::json& json);

}  // namespace mayfly
