// events.jsonl, as its only writer: numbers the events and goes on where an earlier trainer ended.
//
// Each event is one appended line and one write call; not synced, because only checkpoints must
// survive a crash of the machine. One thread.
#pragma once

#include <filesystem>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/event.h"

namespace mayfly {

class EventLog {
 public:
  // Cuts off a last line without its newline (its writer was killed), and counts on from the last
  // whole one. Errors: those of core/atomic_file.h; corrupt: complete lines, and none of them an
  // event. `clock` must outlive this object.
  static Result<EventLog> open(const std::filesystem::path& path, Clock& clock);

  Status append(EventBody body);

  std::int64_t next_seq() const {
    return next_seq_;
  }

 private:
  EventLog(std::filesystem::path path, Clock& clock, std::int64_t next_seq)
      : path_(std::move(path)), clock_(&clock), next_seq_(next_seq) {}

  std::filesystem::path path_;
  Clock* clock_;
  std::int64_t next_seq_;
};

}  // namespace mayfly
