#include "launcher/doctor_command.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/json.h"
#include "core/user_folders.h"
#include "launcher/embedded_hub.h"
#include "launcher/preflight.h"
#include "launcher/run_command.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

struct Check {
  std::string name;
  bool good = true;
  std::string says;
  std::string hint;
  ExitCode code = ExitCode::ok;  // of a failed one
};

Check check_program(const std::string& name) {
  const fs::path path = program_folder() / name;
  if (::access(path.c_str(), X_OK) == 0) return {"program " + name, true, path.string(), "", {}};
  return {"program " + name, false, "is not in " + program_folder().string(),
          "build it with ./dev build", ExitCode::not_found};
}

Check check_folder(const std::string& name, const fs::path& folder) {
  fs::path there = folder;
  std::error_code code;
  while (there != there.root_path() && !fs::exists(there, code)) there = there.parent_path();
  if (::access(there.c_str(), W_OK) != 0) {
    return {name, false, there.string() + " cannot be written to", "change its permissions",
            ExitCode::refused};
  }
  const Result<std::int64_t> space = free_bytes(folder);
  if (!space) return {name, false, space.error().message, "", ExitCode::refused};
  constexpr std::int64_t kLittle = 3'000'000'000;
  const bool enough = *space >= kLittle;
  return {name, enough, folder.string() + ", " + format_bytes(*space) + " free",
          enough ? "" : "a run wants a few GB", ExitCode::refused};
}

Check check_hub(const RunConfig& config) {
  const Result<HubChoice> hub = choose_hub(config.hub, "a-run", 42);
  if (!hub) {
    return {"hub", false, hub.error().message, hub.error().hint, exit_code(hub.error().kind)};
  }
  if (!hub->embedded) return {"hub", true, hub->endpoint + ", with a token", "", {}};
  const bool runs = answers(hub->endpoint);
  return {"hub",
          true,
          "the local one" +
              (runs ? ", running at " + hub->endpoint : std::string(", not running")) +
              "; its content: " + embedded_hub_folder().string(),
          "",
          {}};
}

Check check_memory_folder() {
  // Secrets reach an instance of the local provider through here.
  if (::access("/dev/shm", W_OK) == 0) return {"memory folder", true, "/dev/shm", "", {}};
  return {"memory folder", false, "/dev/shm cannot be written to",
          "mount a tmpfs there; tokens are never put on a disk", ExitCode::refused};
}

}  // namespace

Result<ExitCode> doctor_command(const CommandLine& line, Desk& desk) {
  const auto config = read_config(line, false);
  if (const auto* failure = std::get_if<Failure>(&config)) return failure->errors.front();
  const RunConfig& run = std::get<RunConfig>(config);
  std::vector<Check> checks = {check_program("agent"), check_program("train"),
                               check_program("localhub")};
  checks.push_back(check_folder("state folder", desk.state_dir));
  checks.push_back(check_folder("data folder", data_folder()));
  std::error_code code;
  checks.push_back(check_folder("outputs", fs::absolute(run.paths.outputs_dir, code)));
  checks.push_back(check_memory_folder());
  checks.push_back(check_hub(run));
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  checks.push_back(runs ? Check{"list of runs", true, desk.state.path().string(), "", {}}
                        : Check{"list of runs", false, runs.error().message, runs.error().hint,
                                exit_code(runs.error().kind)});
  ExitCode worst = ExitCode::ok;
  nlohmann::json answer = {{"checks", nlohmann::json::array()}};
  for (const Check& check : checks) {
    if (!check.good && worst == ExitCode::ok) worst = check.code;
    answer["checks"].push_back(
        {{"name", check.name}, {"ok", check.good}, {"says", check.says}, {"hint", check.hint}});
    if (desk.flags.json) continue;
    std::string name = check.name;
    name.resize(18, ' ');
    print(
        styled(desk.out, check.good ? Style::green : Style::red, check.good ? "ok    " : "WRONG ") +
        name + check.says + "\n" + (check.hint.empty() ? "" : "      hint: " + check.hint + "\n"));
  }
  answer["ok"] = worst == ExitCode::ok;
  if (desk.flags.json) print(json_line(answer) + "\n");
  return worst;
}

}  // namespace mayfly
