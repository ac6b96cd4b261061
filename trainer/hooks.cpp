#include "trainer/hooks.h"

#include <utility>

#include <unistd.h>

#include "core/command.h"
#include "core/log.h"

namespace mayfly {

namespace {

std::vector<std::string> hook_environment(const std::map<std::string, std::string>& facts) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  for (const auto& [name, value] : facts) environment.push_back("MAYFLY_" + name + "=" + value);
  return environment;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto before = text.rfind('\n');
  return before == std::string::npos ? text : text.substr(before + 1);
}

// Why it did not do its work; empty: it did.
std::string hook_failure(const Result<CommandAnswer>& answer) {
  if (!answer) return answer.error().message;
  if (answer->code == 0) return {};
  const std::string said = last_line(answer->err);
  return "exit code " + std::to_string(answer->code) + (said.empty() ? "" : ": " + said);
}

}  // namespace

Hooks::Hooks(std::map<std::string, std::string> commands, std::filesystem::path run_dir,
             std::chrono::milliseconds limit)
    : run_dir_(std::move(run_dir)), limit_(limit) {
  for (auto& [moment, command] : commands) hooks_[moment] = {.command = std::move(command)};
}

std::optional<WarningEvent> Hooks::run(std::string_view moment,
                                       const std::map<std::string, std::string>& facts) {
  const auto found = hooks_.find(moment);
  if (found == hooks_.end()) return std::nullopt;
  Hook& hook = found->second;
  std::map<std::string, std::string> told = facts;
  told["MOMENT"] = moment;
  told["RUN_DIR"] = run_dir_.string();
  Command command{.argv = {"/bin/sh", "-c", hook.command}, .environment = hook_environment(told)};
  command.limit = limit_;
  const Result<CommandAnswer> answer = run_to_end(command);
  const std::string name = "train.hooks." + std::string(moment);
  if (answer && !answer->out.empty()) log_info(name + ": " + last_line(answer->out));
  const std::string why = hook_failure(answer);
  if (why.empty() || hook.warned) return std::nullopt;
  hook.warned = true;
  return WarningEvent{"hook", name + " failed: " + why, "training goes on; this is said once"};
}

}  // namespace mayfly
