// The configuration as JSON Schema (draft 2020-12), so that an editor completes keys and marks
// mistakes. Made from the fields' descriptions; what it cannot say are the rules between fields.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace mayfly {

nlohmann::json config_schema();

}  // namespace mayfly
