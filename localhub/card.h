// The metadata at the top of a README.md (a "model card"): what the hub checks before it takes one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mayfly::localhub {

struct CardProblems {
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
};

// Errors: the YAML between the "---" lines cannot be read, is no mapping, or a known key has the
// wrong type. Warning: there is none.
CardProblems check_card(std::string_view readme);

}  // namespace mayfly::localhub
