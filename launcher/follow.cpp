#include "launcher/follow.h"

#include <atomic>
#include <cmath>
#include <csignal>
#include <deque>
#include <optional>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/provider/destroy.h"
#include "core/run/directory.h"
#include "core/run/event_tail.h"
#include "core/run/run_status.h"
#include "launcher/figures.h"
#include "launcher/mirror.h"
#include "launcher/status_report.h"
#include "launcher/summary.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

std::atomic<int> signal_seen{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void note_signal(int number) {
  signal_seen.store(number);
}

// The end of the machine's console, for somebody whom a slow or failing start-up keeps waiting; ""
// where there is none to read.
std::string console_end(const Desk& desk, const InstanceId& id) {
  constexpr std::size_t kLines = 4;
  constexpr std::size_t kWidest = 160;
  const auto text = read_file(desk.state_dir / "local" / id / "console.log");
  if (!text) return "";
  std::deque<std::string> lines;
  std::istringstream in(*text);
  for (std::string line; std::getline(in, line);) {
    std::erase_if(line, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    lines.push_back("  console | " + line.substr(0, kWidest));
    if (lines.size() > kLines) lines.pop_front();
  }
  std::string end;
  for (const std::string& line : lines) end += (end.empty() ? "" : "\n") + line;
  return end;
}

// The provider's and the agent's last words when a machine had to be given up.
Error give_up(const std::string& what, const RunPlan& plan, const InstanceId& id,
              Provider& provider, Desk& desk) {
  if (const std::string console = console_end(desk, id); !console.empty()) note(desk, console);
  Error error{ErrorKind::failed, what,
              "its output is in " + plan.run_dir + " and in `launch logs " + plan.run_name + "`"};
  const Status gone = destroy_until_gone(provider, id, desk.clock, kDestroyPatience);
  if (!gone) {
    error.kind = ErrorKind::outcome_unknown;
    error.message += "; and it could not be destroyed: " + gone.error().message;
    error.hint = "it may still cost money: `launch down " + plan.run_name + "`";
    return error;
  }
  error.message += "; it is destroyed";
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (runs) {
    if (const Result<KnownRun> run = find_run(*runs, plan.run_id)) {
      const Result<bool> settled = settle_run(desk.state, provider, *run, desk.clock);
      if (!settled) error.message += "; " + settled.error().message;
    }
  }
  return error;
}

// What a follower sees: one bar at the bottom of a terminal, and a line for each thing that
// happened once.
class Display {
 public:
  Display(const RunPlan& plan, Desk& desk, bool shows)
      : desk_(desk),
        shows_(shows && !desk.flags.json && desk.flags.verbosity >= 0),
        bar_(STDERR_FILENO, desk.err),
        tail_(RunDirectory{plan.run_dir}.events()) {}

  void update(const std::optional<RunStatus>& status) {
    if (!shows_) return;
    if (const auto events = tail_.read_new()) {
      for (const Event& event : *events) {
        if (const std::string line = words(event); !line.empty()) say(line);
      }
    }
    if (!status) return;
    if (status->state != state_) {
      state_ = status->state;
      std::string line = state_;
      if (!status->reason.empty()) line += " (" + status->reason + ")";
      say(line);
    }
    for (const UploadReport& upload : status->uploads) {
      if (upload.state != "safe" && upload.state != "failed") continue;
      if (!said_.insert(upload.label + " " + upload.state + " " + upload.commit).second) continue;
      say("hub: " + upload.label +
          (upload.state != "safe"   ? " failed: " + upload.message
           : upload.message.empty() ? " is there, checked"
                                    : " is there, FLAGGED: " + upload.message));
    }
    for (const std::string& warning : status->warnings) {
      if (said_.insert(warning).second) say("warning: " + warning);
    }
    draw(*status);
  }
  void clear() {
    bar_.clear();
  }

 private:
  void say(const std::string& line) {
    bar_.clear();
    note(desk_, format_utc(desk_.clock.now()).substr(11, 8) + "  " + line);
  }
  void draw(const RunStatus& status) {
    if (status.total_steps == 0) return;
    Progress progress{status.state, status.step, status.total_steps, ""};
    if (status.loss) progress.tail = "loss " + number("%.4f", *status.loss);
    if (status.tokens_per_second > 0) {
      progress.tail += "  " + number("%.0f tok/s", status.tokens_per_second);
    }
    if (status.eta_seconds) progress.tail += "  ETA " + duration(*status.eta_seconds);
    progress.tail += "  " + format_usd(status.spent);
    bar_.show(progress);
  }
  // Steps are the bar's business; without a terminal they are lines, as the trainer logs them.
  std::string words(const Event& event) const {
    if (const auto* data = std::get_if<DataEvent>(&event.body)) {
      return std::to_string(data->examples) + " examples, " +
             std::to_string(data->tokens_trained_on) + " tokens trained on, " +
             std::to_string(data->total_steps) + " steps";
    }
    if (const auto* step = std::get_if<StepEvent>(&event.body)) {
      if (desk_.err.interactive) return "";
      return "step " + std::to_string(step->step) + "/" + std::to_string(step->of) + "  loss " +
             number("%.4f", step->loss) + "  " + number("%.0f tok/s", step->tokens_per_second);
    }
    if (const auto* held_out = std::get_if<EvaluatedEvent>(&event.body)) {
      return "held-out loss " + number("%.4f", held_out->loss) +
             (held_out->step == 0 ? " before training"
                                  : " after step " + std::to_string(held_out->step));
    }
    if (const auto* checkpoint = std::get_if<CheckpointEvent>(&event.body)) {
      return "saved " + checkpoint->path;
    }
    if (const auto* warning = std::get_if<WarningEvent>(&event.body)) {
      return "warning: " + warning->what + (warning->hint.empty() ? "" : " - " + warning->hint);
    }
    if (const auto* failure = std::get_if<FailedEvent>(&event.body)) {
      return "failed: " + failure->what + (failure->hint.empty() ? "" : " - " + failure->hint);
    }
    return "";
  }

  Desk& desk_;
  bool shows_;
  ProgressBar bar_;
  EventTail tail_;
  std::string state_;
  std::set<std::string> said_;
};

std::optional<RunStatus> status_of(const RunPlan& plan) {
  Result<RunStatus> status = read_status(RunDirectory{plan.run_dir}.status().string());
  if (!status || status->run_id != plan.run_id) return std::nullopt;
  return std::move(*status);
}

// What a rented machine says now, copied here. Whether it said anything: a machine that ends does
// not.
bool look_there(const RunPlan& plan, Desk& desk) {
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (!runs) return false;
  const Result<KnownRun> run = find_run(*runs, plan.run_id);
  return run && refresh_mirror(*run, MirrorDepth::status, desk);
}

Result<bool> settled(const RunPlan& plan, Provider& provider, Desk& desk) {
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (!runs) return runs.error();
  const Result<KnownRun> run = find_run(*runs, plan.run_id);
  if (!run) return run.error();
  return settle_run(desk.state, provider, *run, desk.clock);
}

}  // namespace

Interrupts::Interrupts() {
  signal_seen.store(0);
  struct sigaction action {};
  action.sa_handler = note_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

Interrupts::~Interrupts() {
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
}

int Interrupts::seen() {
  return signal_seen.load();
}

Result<bool> wait_for_heartbeat(const RunPlan& plan, const InstanceId& id, Provider& provider,
                                Desk& desk) {
  const SteadyTime give_up_at = desk.clock.steady_now() + plan.config.instance.boot_timeout;
  note(desk, "the machine is there (" + id + "); waiting for its agent");
  std::string shown;
  for (int round = 0; Interrupts::seen() == 0; ++round) {
    const bool elsewhere = plan.offer.provider != "local";
    constexpr int kLookEvery = 20;
    if (elsewhere && round % kLookEvery == 0) look_there(plan, desk);
    if (status_of(plan)) return true;
    const int kAskEvery = elsewhere ? 100 : 10;
    constexpr int kShowAfter = 30;
    if (round % kAskEvery == kAskEvery - 1) {
      const std::string console = round < kShowAfter ? "" : console_end(desk, id);
      if (console != shown) note(desk, shown = console);
      const Result<Instance> instance = provider.get(id);
      const bool over = instance ? instance->state == InstanceState::failed ||
                                       instance->state == InstanceState::gone
                                 : instance.error().kind == ErrorKind::not_found;
      // The agent may have done all its work and ended between two looks; what it has said last is
      // on the hub then.
      if (over) static_cast<void>(settled(plan, provider, desk));
      if (over && !status_of(plan)) {
        return give_up("the machine ended before its agent reported", plan, id, provider, desk);
      }
    }
    if (desk.clock.steady_now() >= give_up_at) {
      return give_up(
          "its agent did not report within " + format_duration(plan.config.instance.boot_timeout),
          plan, id, provider, desk);
    }
    desk.clock.sleep_for(100ms);
  }
  return false;
}

Result<ExitCode> follow_run(const RunPlan& plan, const RunFlags& flags, Provider& provider,
                            Desk& desk) {
  Display display(plan, desk, flags.follow);
  std::optional<SteadyTime> give_up_at;
  if (flags.timeout) give_up_at = desk.clock.steady_now() + *flags.timeout;
  std::optional<Error> trouble;
  const bool elsewhere = plan.offer.provider != "local";
  for (int round = 0;; ++round) {
    // A machine elsewhere is asked every two seconds; its provider, which counts requests, every
    // ten, or when the machine does not answer any more.
    constexpr int kLookEvery = 10;
    const bool there = elsewhere && round % kLookEvery == 0 && look_there(plan, desk);
    display.update(status_of(plan));
    const int kAskEvery = elsewhere ? 50 : 5;
    const bool silent = elsewhere && round % kLookEvery == 0 && !there;
    if (round % kAskEvery == 0 || silent) {
      const Result<bool> gone = settled(plan, provider, desk);
      if (gone && *gone) break;
      // A provider that does not answer for a while ends nothing: the run goes on, and so do we.
      trouble = gone ? std::nullopt : std::optional(gone.error());
    }
    if (Interrupts::seen() != 0) {
      display.clear();
      note(desk, "\nno longer watching; " + plan.run_name + " goes on.\n  look   status " +
                     plan.run_name + "\n  end    launch stop " + plan.run_name);
      return Interrupts::seen() == SIGTERM ? ExitCode::terminated : ExitCode::interrupted;
    }
    if (give_up_at && desk.clock.steady_now() >= *give_up_at) {
      display.clear();
      if (trouble) return *trouble;
      note(desk, "--timeout ran out; " + plan.run_name + " goes on");
      return ExitCode::timed_out;
    }
    desk.clock.sleep_for(200ms);
  }
  display.update(status_of(plan));
  display.clear();
  return print_summary(plan, desk);
}

}  // namespace mayfly
