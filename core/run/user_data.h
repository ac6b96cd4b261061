// The user-data of an instance: the template of cloud-init/, filled in.
//
// Values travel as base64 (the plan, the list of programs) or as a number that was made from one;
// the rest is fixed text of this project. So nothing that a user wrote can become shell or YAML.
// Holds no secret: the plan has none.
#pragma once

#include <chrono>
#include <string>

#include "core/result.h"
#include "core/run/plan.h"

namespace mayfly {

// Providers take 16 KB (EC2: 16,384 bytes before encoding).
constexpr std::size_t kUserDataMaxBytes = 16384;

// `fuse`: the instance ends itself that long after its boot even if all else fails; later than
// every limit of the plan. Errors: refused (too large, with the size), invalid_config (a program's
// name or address that cannot be passed on: a line break in it).
Result<std::string> render_user_data(const RunPlan& plan, std::chrono::seconds fuse);

}  // namespace mayfly
