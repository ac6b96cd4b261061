#include "launcher/desk.h"

#include <cstdio>

#include <unistd.h>

#include "core/log.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/registry.h"
#include "core/user_folders.h"
#include "launcher/attached_host.h"
#include "launcher/cloud_access.h"

namespace mayfly {

namespace {

LogLevel console_level(int verbosity) {
  if (verbosity < 0) return LogLevel::error;
  if (verbosity == 0) return LogLevel::warn;
  return verbosity == 1 ? LogLevel::info : LogLevel::debug;
}

}  // namespace

Result<Desk> open_desk(const CommonFlags& flags, std::string_view program, Clock& clock) {
  const Status log =
      start_log(std::string(program), console_level(flags.verbosity), flags.log_file);
  if (!log) return log.error();
  const std::filesystem::path folder = state_folder();
  std::error_code code;
  const std::filesystem::path file = flags.state_file.empty()
                                         ? folder / "runs.json"
                                         : std::filesystem::absolute(flags.state_file, code);
  return Desk{flags,
              folder,
              StateFile(file),
              clock,
              terminal_of(STDOUT_FILENO, flags.color),
              terminal_of(STDERR_FILENO, flags.color)};
}

Result<std::unique_ptr<Provider>> provider_of(const Desk& desk, std::string_view name,
                                              const Price& price) {
  if (name == "attached") return attached_runs(desk);
  if (cloud_row(name) != nullptr) {
    const Result<Environment> environment = environment_to_look(desk.state, std::string(name));
    if (!environment) return environment.error();
    return cloud_named(*environment, std::string(name), desk.clock);
  }
  return make_provider(name, ProviderSettings{price, desk.state_dir, {}}, desk.clock);
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void note(const Desk& desk, std::string_view text) {
  if (desk.flags.json || desk.flags.verbosity < 0) return;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

}  // namespace mayfly
