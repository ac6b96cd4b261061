// The shares of a mix, as plans and `launch data stats` show them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/text/data_counts.h"

namespace mayfly {

// A line for each: "70.0 % math: 700 of 1,000 rows, 81,000 tokens".
std::vector<std::string> mix_lines(std::span<const SourceCounts> sources);
nlohmann::json mix_json(std::span<const SourceCounts> sources);

}  // namespace mayfly
