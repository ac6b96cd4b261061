// The table and the lines below each run that `status` prints. Golden texts in
// tests/launcher/status_text_test.cpp.
#include <algorithm>

#include "launcher/figures.h"
#include "launcher/status_report.h"

namespace mayfly {

namespace {

// "sft 1.4/2": the phase and how many of the epochs are done.
std::string phase_cell(const RunView& run) {
  if (!run.agent || run.agent->phase.empty()) return "-";
  const RunStatus& agent = *run.agent;
  if (agent.epochs <= 0) return agent.phase;
  return agent.phase + " " + number("%.3g", agent.epoch) + "/" + number("%.3g", agent.epochs);
}

std::string step_cell(const RunView& run) {
  if (!run.agent || run.agent->total_steps == 0) return "-";
  return std::to_string(run.agent->step) + "/" + std::to_string(run.agent->total_steps);
}

std::string instance_cell(const RunView& run) {
  std::string text = run.known.provider;
  if (!run.known.progress.id.empty()) text += " " + run.known.progress.id;
  return text;
}

std::string to_finish_cell(const RunView& run) {
  if (!run.agent || !run.agent->to_finish || run.state == "gone") return "-";
  return "+" + format_usd(*run.agent->to_finish);
}

Style state_style(const RunView& run) {
  if (!run.attention.empty()) return Style::red;
  if (run.state == "gone") return Style::dim;
  return run.state == "training" ? Style::green : Style::yellow;
}

std::string upload_line(const RunStatus& agent) {
  std::string text;
  int queued = 0;
  for (const UploadReport& upload : agent.uploads) {
    if (upload.state == "queued") {
      ++queued;
      continue;
    }
    if (!text.empty()) text += " · ";
    text += upload.label + " " + (upload.state == "safe" ? "ok" : upload.state);
    if (upload.state == "safe" && upload.at) text += " " + format_utc(*upload.at).substr(11, 5);
    const bool over = upload.state == "failed" || upload.state == "safe";
    if (over && !upload.message.empty()) text += " (" + upload.message + ")";
  }
  if (text.empty() && queued == 0) return "";
  if (queued > 0) text += (text.empty() ? "" : " · ") + std::to_string(queued) + " queued";
  return text;
}

std::string guard_line(const RunStatus& agent) {
  std::string text;
  for (const GuardReport& guard : agent.guards) {
    if (!guard.left_seconds && guard.limit <= 0) continue;  // switched off
    if (!text.empty()) text += " · ";
    text += guard.name + " ";
    if (guard.unit == "USD") {
      text += "$" + number("%.2f", guard.limit);
    } else {
      text += duration(guard.limit);
    }
    if (guard.left_seconds) text += " (" + duration(*guard.left_seconds) + " left)";
  }
  return text;
}

std::string where_to_look(const RunView& run) {
  std::string text = run.known.run_dir;
  if (!run.known.hub_repo.empty()) {
    text += " · " + run.known.hub_endpoint + "/" + run.known.hub_repo;
  }
  return text;
}

std::string end_line(const RunView& run) {
  if (run.state != "gone") return "";
  std::string text = run.known.stop_reason.empty() ? "ended" : run.known.stop_reason;
  if (run.agent && !run.agent->detail.empty()) text += ": " + run.agent->detail;
  if (run.receipt) {
    text += run.receipt->state == ReceiptState::confirmed ? " · destroyed, receipt confirmed"
                                                          : " · destroy asked, not confirmed yet";
  }
  return text;
}

std::string details(const RunView& run, const Terminal& terminal) {
  std::string text;
  const auto line = [&text](std::string_view label, const std::string& content) {
    if (content.empty()) return;
    std::string padded = "  " + std::string(label) + ":";
    padded.resize(std::max<std::size_t>(padded.size() + 1, 11), ' ');
    text += padded + content + "\n";
  };
  line("end", end_line(run));
  if (run.agent) {
    line("upload", upload_line(*run.agent));
    if (run.state != "gone") {
      line("guard", guard_line(*run.agent));
      line("layers", layers_text(run.agent->layers));
    }
    for (const std::string& warning : run.agent->warnings) line("warning", warning);
  }
  line("look", where_to_look(run));
  for (const std::string& stale : run.stale) {
    if (stale != run.attention) line("stale", stale);
  }
  if (!run.attention.empty()) {
    line("ATTENTION", styled(terminal, Style::red, run.attention));
  }
  return text;
}

std::vector<std::string> row(const RunView& run, const Terminal& terminal) {
  const bool live = run.state != "gone";
  std::string eta = "-";
  if (live && run.agent && run.agent->eta_seconds) eta = duration(*run.agent->eta_seconds);
  return {run.known.name,
          phase_cell(run),
          step_cell(run),
          run.agent && run.agent->loss ? number("%.4g", *run.agent->loss) : "-",
          eta,
          instance_cell(run),
          styled(terminal, state_style(run), run.state),
          format_usd(run.spent),
          to_finish_cell(run),
          format_usd(run.known.spend_limit)};
}

}  // namespace

std::string status_text(const StatusReport& report, const Terminal& terminal) {
  std::vector<std::vector<std::string>> rows = {
      {"RUN", "PHASE", "STEP", "LOSS", "ETA", "INSTANCE", "STATE", "SPENT", "TO FINISH", "LIMIT"}};
  for (const RunView& run : report.runs) rows.push_back(row(run, terminal));
  std::string text;
  if (report.runs.empty()) {
    text = "no runs\n";
  } else {
    const std::string table =
        aligned_table(rows, {Align::left, Align::left, Align::left, Align::right, Align::right,
                             Align::left, Align::left, Align::right, Align::right, Align::right});
    std::size_t at = table.find('\n') + 1;
    text = styled(terminal, Style::bold, table.substr(0, at - 1)) + "\n";
    for (const RunView& run : report.runs) {
      const std::size_t end = table.find('\n', at) + 1;
      text += table.substr(at, end - at) + details(run, terminal);
      at = end;
    }
  }
  for (const Instance& orphan : report.orphans) {
    text += styled(terminal, Style::red,
                   "ORPHAN " + orphan.id + ": a machine of no run of this list, billing since " +
                       format_utc(orphan.created_at).substr(0, 16) +
                       "Z; end it with `launch down " + orphan.id + "`") +
            "\n";
  }
  for (const Error& error : report.errors) {
    text += styled(terminal, Style::red, "failed: " + error.message) + "\n";
  }
  text += styled(terminal, Style::dim,
                 std::string(report.orphans.empty() ? "orphans: none · " : "") + "as of " +
                     format_utc(report.time).substr(11, 8) + "Z") +
          "\n";
  return text;
}

}  // namespace mayfly
