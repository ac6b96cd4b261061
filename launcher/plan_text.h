// The plan for people and for scripts.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/terminal.h"
#include "launcher/make_plan.h"

namespace mayfly {

// What will happen, for how long, at what cost, within which limits; ends with a newline.
std::string plan_text(const PlannedRun& planned, const Terminal& terminal);

// {"schema": "mayfly.plan/1", "plan": the document the machine gets, "data", "model", "branches",
// "notes"}.
nlohmann::json plan_document(const PlannedRun& planned);

}  // namespace mayfly
