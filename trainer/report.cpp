#include "trainer/report.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/number_text.h"

namespace mayfly {

namespace {

using nlohmann::ordered_json;
using std::chrono::seconds;

// Far below any time after which a trainer without news counts as stuck, and few lines.
constexpr seconds kProgressEvery{5};

// "1:02:03", as Python's timedelta prints it: the tools that read metrics.jsonl expect that.
std::string clock_text(seconds duration) {
  const auto total = std::max<std::int64_t>(duration.count(), 0);
  char text[64];
  std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(total / 3600),
                static_cast<long long>(total / 60 % 60), static_cast<long long>(total % 60));
  return text;
}

double percentage(std::int64_t done, std::int64_t of) {
  return of > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(of) : 0.0;
}

std::string in_words(const StartedEvent& started) {
  std::string text = "training on " + started.device;
  if (started.resumed_from_step > 0) {
    text += ", going on from step " + std::to_string(started.resumed_from_step);
  }
  return text;
}

std::string in_words(const DataEvent& data) {
  std::string text = std::to_string(data.examples) + " examples, " + std::to_string(data.tokens) +
                     " tokens of which " + std::to_string(data.tokens_trained_on) +
                     " are trained on";
  if (data.truncated > 0) text += ", " + std::to_string(data.truncated) + " cut off";
  if (data.dropped > 0) text += ", " + std::to_string(data.dropped) + " left out";
  if (data.validation_examples > 0) {
    text += "; " + std::to_string(data.validation_examples) + " held out";
  }
  return text + "; " + std::to_string(data.total_steps) + " steps";
}

std::string in_words(const EvaluatedEvent& evaluated) {
  return "held-out loss " + number("%.4f", evaluated.loss) +
         (evaluated.step == 0 ? std::string(" before training")
                              : " after step " + std::to_string(evaluated.step));
}

std::string in_words(const CheckpointEvent& checkpoint) {
  std::string text = "saved " + checkpoint.path;
  if (checkpoint.whole_epoch)
    text += ", the end of epoch " + std::to_string(*checkpoint.whole_epoch);
  return text;
}

std::string in_words(const FinishedEvent& finished) {
  const std::string time = format_duration(seconds(static_cast<std::int64_t>(finished.seconds)));
  if (finished.stopped) {
    return "stopped after step " + std::to_string(finished.steps) + ", saved; " + time;
  }
  return "finished " + std::to_string(finished.steps) + " steps in " + time + ": " + finished.path;
}

// The line of an evaluation, so that the losses of a run are all in one file.
std::string metrics_line(const EvaluatedEvent& evaluated) {
  const ordered_json line = {{"current_steps", evaluated.step}, {"eval_loss", evaluated.loss}};
  return line.dump();
}

}  // namespace

std::string metrics_line(const StepEvent& step, seconds elapsed, seconds remaining) {
  const ordered_json line = {{"current_steps", step.step},
                             {"total_steps", step.of},
                             {"loss", step.loss},
                             {"lr", step.learning_rate},
                             {"learning_rate", step.learning_rate},
                             {"grad_norm", step.grad_norm},
                             {"epoch", step.epoch},
                             {"percentage", percentage(step.step, step.of)},
                             {"elapsed_time", clock_text(elapsed)},
                             {"remaining_time", clock_text(remaining)},
                             {"tokens_per_second", step.tokens_per_second}};
  return line.dump();
}

std::string step_tail(const StepEvent& step, seconds remaining) {
  return "loss " + number("%.4f", step.loss) + "  " + number("%.0f", step.tokens_per_second) +
         " tok/s  ETA " + format_duration(remaining);
}

Report::Report(const RunDirectory& run, Clock& clock, const ReportSettings& settings,
               std::optional<EventLog> events)
    : run_(run),
      clock_(&clock),
      settings_(settings),
      events_(std::move(events)),
      bar_(std::make_unique<ProgressBar>(STDERR_FILENO, settings.terminal)) {}

Result<Report> Report::open(const RunDirectory& run, Clock& clock, const ReportSettings& settings) {
  Result<EventLog> events = EventLog::open(run.events(), clock);
  if (!events) return events.error();
  return Report(run, clock, settings, std::move(*events));
}

Report Report::silent(Clock& clock) {
  ReportSettings settings;
  settings.quiet = true;
  return Report({}, clock, settings, std::nullopt);
}

Status Report::go_on_from(std::int64_t step) {
  if (!events_) return Unit{};
  std::error_code code;
  if (!std::filesystem::exists(run_.metrics(), code)) return Unit{};
  const Result<std::string> text = read_file(run_.metrics());
  if (!text) return text.error();
  std::string kept;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;  // torn
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const Result<nlohmann::json> parsed = parse_json(line, "metrics.jsonl");
    if (!parsed || !parsed->is_object()) continue;
    const auto at = parsed->find("current_steps");
    if (at == parsed->end() || !at->is_number_integer() || at->get<std::int64_t>() > step) continue;
    kept.append(line).append("\n");
  }
  return write_file(run_.metrics(), kept);
}

Status Report::tell(EventBody body) {
  if (!events_) {
    if (const auto* warning = std::get_if<WarningEvent>(&body)) log_warn(warning->what);
    return Unit{};
  }
  if (Status written = events_->append(body); !written) return written;
  if (const auto* step = std::get_if<StepEvent>(&body)) {
    return tell_step(*step);
  }
  if (const auto* evaluated = std::get_if<EvaluatedEvent>(&body)) {
    print(in_words(*evaluated));
    return append_line(run_.metrics(), metrics_line(*evaluated));
  }
  if (const auto* stage = std::get_if<StageEvent>(&body)) {
    if (stage->name == "steps") {
      steps_began_at_ = clock_->steady_now();
      steps_began_from_ = stage->done;
    }
    show(*stage);
  } else if (const auto* warning = std::get_if<WarningEvent>(&body)) {
    bar_->clear();
    log_warn(warning->what + (warning->hint.empty() ? "" : " (" + warning->hint + ")"));
  } else if (const auto* started = std::get_if<StartedEvent>(&body)) {
    print(in_words(*started));
  } else if (const auto* data = std::get_if<DataEvent>(&body)) {
    print(in_words(*data));
  } else if (const auto* checkpoint = std::get_if<CheckpointEvent>(&body)) {
    print(in_words(*checkpoint));
  } else if (const auto* finished = std::get_if<FinishedEvent>(&body)) {
    print(in_words(*finished));
  } else {
    bar_->clear();  // a failure: main reports it
  }
  return Unit{};
}

void Report::progress(const std::string& stage, std::int64_t done, std::int64_t of) {
  if (!events_) return;
  const StageEvent event{stage, done, of};
  const SteadyTime now = clock_->steady_now();
  if (now - progress_at_ < kProgressEvery) return show(event);
  progress_at_ = now;
  const Status told = tell(event);
  if (!told) log_debug(told.error().message);
}

void Report::show(const StageEvent& stage) {
  draw({.label = stage.name, .done = stage.done, .of = stage.of, .tail = {}},
       stage.done == 0 || stage.done == stage.of);
}

Status Report::tell_step(const StepEvent& step) {
  const auto elapsed = std::chrono::duration_cast<seconds>(clock_->steady_now() - steps_began_at_);
  const std::int64_t made = std::max<std::int64_t>(step.step - steps_began_from_, 1);
  const seconds remaining = elapsed * (step.of - step.step) / made;
  const bool last = step.step == step.of;
  draw({.label = "train", .done = step.step, .of = step.of, .tail = step_tail(step, remaining)},
       last);
  if (step.step % settings_.logging_steps != 0 && !last) return Unit{};
  const std::string line =
      "step=" + std::to_string(step.step) + "/" + std::to_string(step.of) +
      " epoch=" + number("%.2f", step.epoch) + " loss=" + number("%.4f", step.loss) +
      " lr=" + number("%.3g", step.learning_rate) + " grad_norm=" + number("%.3f", step.grad_norm) +
      " tok/s=" + number("%.0f", step.tokens_per_second) + " eta=" + format_duration(remaining);
  log_info(line);
  return append_line(run_.metrics(), metrics_line(step, elapsed, remaining));
}

void Report::draw(const Progress& progress, bool now) {
  if (settings_.quiet) return;
  const SteadyTime time = clock_->steady_now();
  if (!now && time - drawn_at_ < settings_.redraw_every) return;
  drawn_at_ = time;
  bar_->show(progress);
}

void Report::print(const std::string& line) {
  log_info(line);
  if (settings_.quiet || !settings_.terminal.interactive) return;
  bar_->clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace mayfly
