// What a trainer reports: one JSON object a line in events.jsonl, at most 4 KB, one write each.
// docs/events.md has the format. A reader ignores events and fields it does not know; a known field
// never changes its meaning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/clock.h"
#include "core/result.h"

namespace mayfly {

// This trainer runs this plan.
struct StartedEvent {
  std::string version;
  std::string plan_hash;
  std::string phase;
  std::string device;  // "cpu", "cuda:0 NVIDIA H100"
  std::int64_t resumed_from_step = 0;
};
// Where it is; a growing `done` is progress. Names: load, encode, evaluate, steps, export.
struct StageEvent {
  std::string name;
  std::int64_t done = 0;
  std::int64_t of = 0;
};
// What encoding made of the data set.
struct DataEvent {
  std::int64_t examples = 0;
  std::int64_t tokens = 0;
  std::int64_t tokens_trained_on = 0;
  std::int64_t truncated = 0;
  std::int64_t dropped = 0;
  std::int64_t validation_examples = 0;
  std::int64_t total_steps = 0;
};
struct StepEvent {
  std::int64_t step = 0;  // from 1
  std::int64_t of = 0;
  double epoch = 0;
  double loss = 0;
  double learning_rate = 0;
  double grad_norm = 0;  // before clipping
  std::int64_t tokens = 0;
  double tokens_per_second = 0;
  std::int64_t memory_bytes = 0;  // peak resident set, or allocated on the GPU
};
struct EvaluatedEvent {
  std::int64_t step = 0;  // 0: before training
  double loss = 0;
  std::int64_t examples = 0;
  std::int64_t tokens = 0;
};
// A complete folder is there to upload.
struct CheckpointEvent {
  std::int64_t step = 0;
  double epoch = 0;
  std::optional<std::int64_t> whole_epoch;  // N when this is the end of epoch N
  std::string path;                         // relative to the run directory
  std::int64_t bytes = 0;
};
struct WarningEvent {
  std::string code, what, hint;
};
// Last event before a non-zero exit.
struct FailedEvent {
  std::string kind, what, hint;
};
// Last event before exit 0. `stopped`: asked to stop by a signal, and saved.
struct FinishedEvent {
  std::int64_t steps = 0;
  double seconds = 0;
  bool stopped = false;
  std::string path;  // "adapter", relative; "" when stopped before the end
};

using EventBody = std::variant<StartedEvent, StageEvent, DataEvent, StepEvent, EvaluatedEvent,
                               CheckpointEvent, WarningEvent, FailedEvent, FinishedEvent>;

struct Event {
  std::int64_t seq = 0;  // from 0, no gaps, over restarts too
  WallTime time;
  EventBody body;
};

// One line without its newline. Doubles in full precision.
std::string event_line(const Event& event);
// nullopt: an event this version does not know. Error: corrupt.
Result<std::optional<Event>> parse_event(std::string_view line);

}  // namespace mayfly
