#include "launcher/step_command.h"

#include <algorithm>

#include "core/run/directory.h"
#include "launcher/doctor_command.h"
#include "launcher/end_commands.h"
#include "launcher/hub_command.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

using StepOutcome = std::variant<ExitCode, Failure>;

StepOutcome step_outcome(const Result<ExitCode>& result) {
  if (result) return *result;
  return Failure{{result.error()}};
}

// The runs that the file names: run.name itself, and `<run.name>-seed-<N>`.
Result<std::vector<KnownRun>> runs_of_file(const RunConfig& config, const Desk& desk) {
  Result<std::vector<KnownRun>> all = desk.state.runs();
  if (!all) return all;
  if (!config.run.name) {
    if (all->empty()) return Error{ErrorKind::not_found, "there is no run yet"};
    const auto live = std::find_if(all->rbegin(), all->rend(), may_be_billing);
    const KnownRun chosen = live == all->rend() ? all->back() : *live;
    return std::vector<KnownRun>{chosen};
  }
  const std::string& name = *config.run.name;
  std::erase_if(*all, [&](const KnownRun& run) {
    return run.name != name && !run.name.starts_with(name + "-seed-");
  });
  if (all->empty()) {
    return Error{ErrorKind::not_found, "there is no run named " + name, "see them with `status`"};
  }
  return all;
}

Result<ExitCode> upload_again(const KnownRun& run, Desk& desk) {
  const fs::path adapter = RunDirectory{run.run_dir}.adapter();
  std::error_code code;
  if (!fs::is_directory(adapter, code)) {
    return Error{ErrorKind::not_found, "there is no folder " + adapter.string(),
                 "the adapter is there when training is done; `launch pull` has the newest "
                 "checkpoint"};
  }
  const HubCommand command{{"put", run.hub_repo, adapter.string()}, false, desk.flags.json};
  const Result<HubAddress> address = address_for(command, desk.clock);
  if (!address) return address.error();
  return hub_command(command, *address, desk.clock);
}

Result<ExitCode> on_runs(const std::string& step, const CommandLine& line, const RunConfig& config,
                         Desk& desk) {
  const Result<std::vector<KnownRun>> runs = runs_of_file(config, desk);
  if (!runs) return runs.error();
  if (step == "upload") return upload_again(runs->back(), desk);
  CommandLine down = line;
  down.verb = "down";
  down.words.clear();
  for (const KnownRun& run : *runs) {
    if (may_be_billing(run)) down.words.push_back(run.name);
  }
  if (!down.words.empty()) return down_command(down, desk);
  print(desk.flags.json ? "{\"ok\":true,\"runs\":[]}\n" : "there is nothing to destroy\n");
  return ExitCode::ok;
}

}  // namespace

StepOutcome step_command(const CommandLine& line, Desk& desk) {
  const std::string step = line.words.empty() ? "" : line.words.front();
  CommandLine rest = line;
  if (!step.empty()) rest.words.erase(rest.words.begin());
  rest.common.config_files.insert(rest.common.config_files.end(), rest.words.begin(),
                                  rest.words.end());
  rest.words.clear();
  if (step == "generate" || step == "eval-model") {
    return Failure{{{ErrorKind::unsupported, "the step " + step + " is not built yet",
                     step == "generate" ? "put the data file there, and go on with step train"
                                        : "`train eval` prints the loss of a file"}}};
  }
  if (step == "train") {
    rest.verb = "run";
    return run_command(rest, desk);
  }
  if (step == "setup") return step_outcome(doctor_command(rest, desk));
  if (step != "upload" && step != "terminate") {
    return Failure{{{ErrorKind::usage,
                     step.empty() ? "`launch step` needs the name of a step"
                                  : "there is no step \"" + step + "\"",
                     "setup, generate, train, eval-model, upload or terminate"}}};
  }
  auto config = read_config(rest, false);
  if (auto* failure = std::get_if<Failure>(&config)) return std::move(*failure);
  return step_outcome(on_runs(step, rest, std::get<RunConfig>(config), desk));
}

}  // namespace mayfly
