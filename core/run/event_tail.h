// The new events of a growing events.jsonl: each complete line once, in order.
//
// A line counts once its newline is there. A torn line (the trainer was killed in the middle of a
// write) ends up glued to the next one; such a line is counted in skipped() and passed over, since
// losing one step's report must not stop a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/run/event.h"

namespace mayfly {

class EventTail {
 public:
  explicit EventTail(std::filesystem::path path) : path_(std::move(path)) {}

  // What was appended since the last call; at most 4 MB of it, the rest comes with the next call.
  // A file that is not there yet is empty. Error: refused, corrupt (it cannot be read).
  Result<std::vector<Event>> read_new();

  std::int64_t skipped() const {
    return skipped_;
  }

 private:
  std::filesystem::path path_;
  std::int64_t offset_ = 0;  // behind the last complete line
  std::int64_t skipped_ = 0;
};

}  // namespace mayfly
