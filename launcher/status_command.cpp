#include "launcher/status_command.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "launcher/mirror.h"
#include "launcher/provider_book.h"
#include "launcher/status_report.h"

namespace mayfly {

namespace {

// What a watcher without a terminal wants to hear of: one line when it changes.
std::string one_line(const RunView& run) {
  std::string text = run.known.name + ": " + run.state;
  if (run.agent && run.agent->total_steps > 0) {
    text +=
        " step " + std::to_string(run.agent->step) + "/" + std::to_string(run.agent->total_steps);
  }
  if (!run.attention.empty()) text += " - " + run.attention;
  return text;
}

class Watcher {
 public:
  explicit Watcher(Desk& desk) : desk_(desk) {}

  void show(const StatusReport& report) {
    if (desk_.flags.json) {
      print(json_line(status_json(report)) + "\n");
    } else if (desk_.out.interactive) {
      redraw(status_text(report, desk_.out));
    } else {
      print_changes(report);
    }
  }

 private:
  void redraw(const std::string& text) {
    std::string screen;
    if (lines_ > 0) screen = "\x1b[" + std::to_string(lines_) + "A\x1b[J";
    print(screen + text);
    // A line wider than the terminal takes several rows.
    lines_ = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const int width = display_width(text.substr(at, end - at));
      lines_ += std::max(1, (width + desk_.out.width - 1) / std::max(1, desk_.out.width));
      at = end + 1;
    }
  }
  void print_changes(const StatusReport& report) {
    for (const RunView& run : report.runs) {
      const std::string line = one_line(run);
      std::string& before = said_[run.known.run_id];
      if (before == line) continue;
      before = line;
      print(format_utc(report.time) + " " + line + " spent " + format_usd(run.spent) + "\n");
    }
    for (const Instance& orphan : report.orphans) {
      std::string& before = said_[orphan.id];
      if (!before.empty()) continue;
      before = "orphan";
      print(format_utc(report.time) + " orphan " + orphan.id + " is billing\n");
    }
  }

  Desk& desk_;
  int lines_ = 0;
  std::map<std::string, std::string> said_;
};

}  // namespace

Result<ExitCode> status_command(const CommandLine& line, Desk& desk) {
  ProviderBook book(desk);
  const StatusSources sources{
      [&](const std::string& name) { return book.of(name); }, book.at_hand(),
      [&](const KnownRun& run) { return refresh_mirror(run, MirrorDepth::status, desk); }};
  const StatusQuestion question{line.words, line.status.all};
  Watcher watcher(desk);
  for (;;) {
    const Result<StatusReport> report = gather_status(desk.state, sources, question, desk.clock);
    if (!report) return report.error();
    if (!line.status.watch) {
      print(desk.flags.json ? json_text(status_json(*report)) + "\n"
                            : status_text(*report, desk.out));
      return status_code(*report);
    }
    watcher.show(*report);
    desk.clock.sleep_for(*line.status.watch);
  }
}

}  // namespace mayfly
