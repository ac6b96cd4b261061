// Makes the decisions of a recorded run again: `agent replay decisions.jsonl`. With the program
// that recorded them all must be the same; with another one the first that differs is where the two
// would have parted. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

struct ReplayReport {
  int lives = 0;  // of the agent
  int decisions = 0;
  int damaged = 0;  // lines that are torn or altered; nothing of them is believed
  struct Difference {
    int line = 0;          // from 1
    std::string recorded;  // what was decided then
    std::string now;       // what this program decides
  };
  std::optional<Difference> difference;  // the first; what follows it is not looked at
};

// `journal`: the text of decisions.jsonl. Error: corrupt (no decision in it, or one before any
// policy).
Result<ReplayReport> replay(std::string_view journal);

// For people, one to three lines.
std::string replay_text(const ReplayReport& report);

}  // namespace mayfly
