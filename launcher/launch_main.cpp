// launch: plan, rent, operate, destroy. Each command is a file of this folder.
#include <filesystem>
#include <iostream>

#include "core/report_error.h"
#include "launcher/apply_command.h"
#include "launcher/bundle_command.h"
#include "launcher/command_line.h"
#include "launcher/completion.h"
#include "launcher/config_command.h"
#include "launcher/data_command.h"
#include "launcher/desk.h"
#include "launcher/doctor_command.h"
#include "launcher/end_commands.h"
#include "launcher/hub_command.h"
#include "launcher/look_commands.h"
#include "launcher/offers_command.h"
#include "launcher/reap.h"
#include "launcher/resume_command.h"
#include "launcher/run_command.h"
#include "launcher/shell_command.h"
#include "launcher/steer_commands.h"
#include "launcher/step_command.h"

namespace mayfly {
namespace {

using Outcome = std::variant<ExitCode, Failure>;

Outcome outcome(const Result<ExitCode>& result) {
  if (result) return *result;
  return Failure{{result.error()}};
}

Outcome config_verb(const CommandLine& line) {
  ConfigCommand command;
  command.verb = line.words.empty() ? "show" : line.words.front();
  if (!line.words.empty()) command.words.assign(line.words.begin() + 1, line.words.end());
  command.origin = line.config.origin;
  command.format = line.config.format;
  command.json = line.common.json;
  command.inputs = process_inputs();
  command.inputs.files = line.common.config_files;
  command.inputs.command_line = line.common.settings;
  return config_command(command, std::cout);
}

Outcome name_verb(const CommandLine& line, Desk& desk) {
  auto config = read_config(line, true);
  if (auto* failure = std::get_if<Failure>(&config)) return std::move(*failure);
  const Result<std::vector<KnownRun>> known = desk.state.runs();
  if (!known) return Failure{{known.error()}};
  const RunConfig& run = std::get<RunConfig>(config);
  const Result<std::string> name =
      planned_name(run, *known, run.paths.outputs_dir, run_name_overrides());
  if (!name) return Failure{{name.error()}};
  print(desk.flags.json ? "{\"name\":\"" + *name + "\"}\n" : *name + "\n");
  return ExitCode::ok;
}

Outcome completion_verb(const CommandLine& line) {
  const Result<std::string> script =
      completion_script(line.words.empty() ? "" : line.words.front());
  if (!script) return Failure{{script.error()}};
  print(*script);
  return ExitCode::ok;
}

Outcome hub_verb(const CommandLine& line, Desk& desk) {
  const HubCommand command{line.words, line.is_private, desk.flags.json};
  const Result<HubAddress> address = address_for(command, desk.clock);
  if (!address) return Failure{{address.error()}};
  return outcome(hub_command(command, *address, desk.clock));
}

Outcome carry_out(const CommandLine& line, Desk& desk) {
  if (line.verb == "reap" || line.down.orphans) return outcome(reap_command(line, desk));
  if (line.verb != "completion") notice_leaks(desk);
  if (line.verb == "run" || line.verb == "plan") return run_command(line, desk);
  if (line.verb == "step") return step_command(line, desk);
  if (line.verb == "apply") return apply_command(line, desk);
  if (line.verb == "down") return outcome(down_command(line, desk));
  if (line.verb == "stop") return outcome(stop_command(line, desk));
  if (line.verb == "resume") return resume_command(line, desk);
  if (line.verb == "checkpoint") return outcome(checkpoint_command(line, desk));
  if (line.verb == "extend") return outcome(extend_command(line, desk));
  if (line.verb == "ssh") return outcome(ssh_command(line, desk));
  if (line.verb == "logs") return outcome(logs_command(line, desk));
  if (line.verb == "pull") return outcome(pull_command(line, desk));
  if (line.verb == "receipt") return outcome(receipt_command(line, desk));
  if (line.verb == "offers") return outcome(offers_command(line, desk));
  if (line.verb == "doctor") return outcome(doctor_command(line, desk));
  if (line.verb == "data") return outcome(data_command(line, desk));
  if (line.verb == "bundle") return outcome(bundle_command(line, desk));
  if (line.verb == "hub") return hub_verb(line, desk);
  if (line.verb == "config") return config_verb(line);
  if (line.verb == "name") return name_verb(line, desk);
  return completion_verb(line);
}

}  // namespace
}  // namespace mayfly

int main(int count, char** words) {
  using namespace mayfly;
  const std::vector<std::string> arguments(words + 1, words + count);
  const bool json = wants_json(arguments);

  const Result<CommandLine> line = parse_launch(arguments);
  if (!line) return static_cast<int>(report_error(line.error(), json));
  if (!line->show.empty()) {
    print(line->show);
    return static_cast<int>(ExitCode::ok);
  }
  SystemClock clock;
  Result<Desk> desk = open_desk(line->common, "launch", clock);
  if (!desk) return static_cast<int>(report_error(desk.error(), json));
  const auto end = carry_out(*line, *desk);
  if (const auto* code = std::get_if<ExitCode>(&end)) return static_cast<int>(*code);
  return static_cast<int>(report_errors(std::get<Failure>(end).errors, json));
}
