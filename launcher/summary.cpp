#include "launcher/summary.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/run/directory.h"
#include "launcher/figures.h"
#include "launcher/status_report.h"

namespace mayfly {

namespace {

std::string loss_line(const RunStatus& agent) {
  if (agent.held_out_loss && agent.held_out_loss_before) {
    return "held-out " + number("%.4f", *agent.held_out_loss_before) + " before, " +
           number("%.4f", *agent.held_out_loss) + " after";
  }
  return agent.loss ? number("%.4f", *agent.loss) + " at the last step" : "";
}

std::string branches_line(const RunStatus& agent) {
  std::string text;
  for (const UploadReport& upload : agent.uploads) {
    if (upload.state != "safe") continue;
    text += (text.empty() ? "" : ", ") + upload.label;
    if (!upload.message.empty()) text += " (FLAGGED: " + upload.message + ")";
  }
  return text;
}

std::string bill_line(const RunView& run) {
  std::string text = format_usd(run.spent);
  if (run.known.price.per_hour.micros == 0) return "free";
  text += " of " + format_usd(run.known.spend_limit) + ", " + format_usd(run.known.price.per_hour) +
          " an hour";
  if (run.receipt && run.receipt->ended_at) {
    text += " for " + format_duration(std::chrono::ceil<std::chrono::seconds>(
                          *run.receipt->ended_at - run.receipt->created_at));
  }
  return text;
}

std::string receipt_line(const RunView& run) {
  if (!run.receipt) return "there is none: the machine ended without a word";
  const RunDirectory folder{run.known.run_dir};
  if (run.receipt->state != ReceiptState::confirmed)
    return "NOT CONFIRMED: it may still cost money";
  if (run.known.provider == "attached") {
    return "nothing of the run is left on " + run.known.address + ", confirmed there (" +
           folder.receipt().string() + "); the host itself goes on";
  }
  return run.receipt->instance_id + " is gone, confirmed by the provider's listing (" +
         folder.receipt().string() + ")";
}

}  // namespace

ExitCode end_code(const RunView& run) {
  if (run.state != "gone") return ExitCode::not_verified;
  if (run.receipt && run.receipt->state != ReceiptState::confirmed) return ExitCode::not_verified;
  if (run.receipt) return static_cast<ExitCode>(run.receipt->exit_code);
  if (run.agent && run.agent->exit_code) return static_cast<ExitCode>(*run.agent->exit_code);
  return ExitCode::training_failed;
}

std::string summary_text(const RunView& run, const RunPlan& plan, const Terminal& terminal) {
  std::string text;
  const auto line = [&](std::string_view label, const std::string& content) {
    if (content.empty()) return;
    std::string padded(label);
    padded.resize(10, ' ');
    text += styled(terminal, Style::bold, padded) + content + "\n";
  };
  const bool good = end_code(run) == ExitCode::ok;
  std::string end = run.receipt ? run.receipt->reason : run.known.stop_reason;
  if (end.empty()) end = "ended without a reason";
  if (run.agent && !run.agent->detail.empty()) end += ": " + run.agent->detail;
  line("end", styled(terminal, good ? Style::green : Style::yellow, end));
  if (run.agent) {
    line("steps",
         std::to_string(run.agent->step) + " of " + std::to_string(run.agent->total_steps));
    line("loss", loss_line(*run.agent));
    const std::string branches = branches_line(*run.agent);
    if (!branches.empty())
      line("hub", branches + " in " + plan.hub_repo + " at " + plan.hub_endpoint);
  }
  line("bill", bill_line(run));
  line("receipt", receipt_line(run));
  line("files", run.known.run_dir);
  if (good) {
    line("load",
         "model = AutoModelForCausalLM.from_pretrained(\"" + plan.config.model.base + "\")");
    line("", "model = PeftModel.from_pretrained(model, \"" + plan.run_dir + "/adapter\")");
    if (run.agent && !branches_line(*run.agent).empty()) {
      line("or", "HF_ENDPOINT=" + plan.hub_endpoint + " and PeftModel.from_pretrained(model, \"" +
                     plan.hub_repo + "\", revision=\"main\")");
    }
  }
  return text;
}

nlohmann::json summary_json(const RunView& run) {
  StatusReport report;
  report.runs.push_back(run);
  return {{"ok", end_code(run) == ExitCode::ok},
          {"exit_code", static_cast<int>(end_code(run))},
          {"run", status_json(report)["runs"][0]}};
}

Result<ExitCode> print_summary(const RunPlan& plan, Desk& desk) {
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (!runs) return runs.error();
  const Result<KnownRun> known = find_run(*runs, plan.run_id);
  if (!known) return known.error();
  const RunView run = view_run(*known, ProviderAnswer(std::optional<Instance>{}), desk.clock.now());
  if (desk.flags.json) {
    print(json_line(summary_json(run)) + "\n");
  } else if (desk.flags.verbosity >= 0) {
    print("\n" + summary_text(run, plan, desk.out));
  }
  return end_code(run);
}

}  // namespace mayfly
