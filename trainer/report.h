// Everything a trainer says while it runs, in one call: the event for machines, the metrics line
// for tools, and for people one bar on a terminal or one line a logging step elsewhere. On a
// terminal the log must not write to it too (main starts it so), or its lines would break the bar.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/run/event.h"
#include "core/terminal.h"
#include "trainer/event_log.h"

namespace mayfly {

struct ReportSettings {
  std::int64_t logging_steps = 10;
  std::chrono::milliseconds redraw_every{1000};
  Terminal terminal;   // of standard error
  bool quiet = false;  // nothing for people but warnings and errors
};

class Report {
 public:
  // Opens events.jsonl and metrics.jsonl of `run`. `clock` must outlive this object.
  static Result<Report> open(const RunDirectory& run, Clock& clock, const ReportSettings& settings);

  // Of a rank that is not the first: says nothing and writes nothing but warnings to the log.
  static Report silent(Clock& clock);

  // Drops metrics of steps after `step`: they are computed again after going on from there.
  Status go_on_from(std::int64_t step);

  // Writes the event; what it means for people is shown. An error means that the disk or the folder
  // is gone, and the run must end.
  Status tell(EventBody body);

  // Progress within a stage that takes long: shown, and an event every few seconds, so that nobody
  // takes the trainer for stuck. An event that cannot be written is left to the next tell().
  void progress(const std::string& stage, std::int64_t done, std::int64_t of);

 private:
  Report(const RunDirectory& run, Clock& clock, const ReportSettings& settings,
         std::optional<EventLog> events);

  void show(const StageEvent& stage);
  Status tell_step(const StepEvent& step);
  void draw(const Progress& progress, bool now);
  void print(const std::string& line);

  RunDirectory run_;
  Clock* clock_;
  ReportSettings settings_;
  std::optional<EventLog> events_;  // none: silent
  std::unique_ptr<ProgressBar> bar_;
  SteadyTime drawn_at_{}, progress_at_{};
  SteadyTime steps_began_at_{};
  std::int64_t steps_began_from_ = 0;
};

// One line of metrics.jsonl, with the keys of LLaMA-Factory's trainer_log.jsonl, which other tools
// read: current_steps, total_steps, loss, lr, epoch, percentage, elapsed_time, remaining_time.
std::string metrics_line(const StepEvent& step, std::chrono::seconds elapsed,
                         std::chrono::seconds remaining);

// "loss 1.2842  512 tok/s  ETA 3m10s"
std::string step_tail(const StepEvent& step, std::chrono::seconds remaining);

}  // namespace mayfly
