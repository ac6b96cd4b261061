// The places for the results beside the hub: another repository of it, a bucket. What is asked for
// and cannot work (no credentials, no region) is refused before anything costs money.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/result.h"
#include "core/secret.h"

namespace mayfly {

struct FallbackChoice {
  std::vector<std::string> places;        // in the order they are tried, for the plan
  std::map<std::string, Secret> secrets;  // what the instance needs for them, by variable
};

// Completes config.storage (region, endpoint) from `variable`, which gives "" for what is not
// set. Errors: invalid_config (names, no region), unauthorized (no credentials).
Result<FallbackChoice> choose_fallbacks(RunConfig& config, const std::string& run_name,
                                        const std::string& hub_repo,
                                        const std::function<std::string(const char*)>& variable);

}  // namespace mayfly
