#include "launcher/shell_command.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "core/atomic_file.h"
#include "core/provider/local_record.h"
#include "launcher/steer_commands.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

// The environment that the first process of the instance was started with.
Result<std::vector<std::string>> environment_of(const LocalRecord& record) {
  const std::string file = "/proc/" + std::to_string(record.session->leader) + "/environ";
  const Result<std::string> text = read_file(file);
  if (!text) return while_doing("reading the instance's environment", text.error());
  std::vector<std::string> variables;
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = std::min(text->find('\0', at), text->size());
    variables.push_back(text->substr(at, end - at));
    at = end + 1;
  }
  return variables;
}

// Takes the place of this program.
Error become(const std::vector<std::string>& words, const std::vector<std::string>& variables) {
  const auto pointers = [](const std::vector<std::string>& list) {
    std::vector<char*> all;
    for (const std::string& entry : list) all.push_back(const_cast<char*>(entry.c_str()));
    all.push_back(nullptr);
    return all;
  };
  ::execvpe(words.front().c_str(), pointers(words).data(), pointers(variables).data());
  return Error{ErrorKind::not_found, "starting " + words.front() + ": " + std::strerror(errno)};
}

Result<ExitCode> local_shell(const KnownRun& run, const CommandLine& line, Desk& desk) {
  const fs::path folder = desk.state_dir / "local" / run.progress.id;
  const Result<LocalRecord> record = read_local_record(folder);
  if (!record) return record.error();
  const bool runs = record->session && record->instance.state == InstanceState::running &&
                    find_process(record->session->leader);
  if (!runs) {
    return Error{ErrorKind::not_found, "the machine of " + run.name + " does not run",
                 "see `status " + run.name + "`"};
  }
  Result<std::vector<std::string>> variables = environment_of(*record);
  if (!variables) return variables.error();
  // As the instance's first process gives them to its children.
  variables->push_back("MAYFLY_ROOT=" + (folder / "root").string());
  variables->push_back("MAYFLY_INSTANCE_DIR=" + folder.string());
  for (const char* name : {"TERM", "SHELL"}) {
    if (const char* value = std::getenv(name)) {
      variables->push_back(std::string(name) + "=" + value);
    }
  }
  if (::chdir((folder / "root").c_str()) != 0) {
    return Error{ErrorKind::refused,
                 "entering " + (folder / "root").string() + ": " + std::strerror(errno)};
  }
  std::vector<std::string> words = line.remote_command;
  if (words.empty()) {
    const char* shell = std::getenv("SHELL");
    words = {shell != nullptr && *shell != '\0' ? shell : "sh"};
    note(desk, "a shell in the root of " + run.progress.id + "; its run directory is " +
                   run.run_dir + ". It ends with the machine.");
  }
  return become(words, *variables);
}

}  // namespace

Status reachable_without_ssh(const KnownRun& run, const std::string& wanted) {
  if (run.provider == "local") return Unit{};
  return Error{ErrorKind::unsupported,
               "cannot " + wanted + ": that works for provider local, and " + run.name + " is at " +
                   run.provider,
               "end it with `launch down " + run.name + "`, or wait for its limits"};
}

Result<std::vector<std::string>> ssh_arguments(const std::string& address,
                                               const fs::path& known_hosts,
                                               const std::vector<std::string>& command) {
  const Error wrong{ErrorKind::invalid_config, "not an address to connect to: " + address};
  const auto at = address.find('@');
  if (at == 0 || at == std::string::npos || address.starts_with('-')) return wrong;
  const auto colon = address.find(':', at);
  std::string host = address.substr(0, colon);
  if (host.size() == at + 1 || host[at + 1] == '-') return wrong;
  int port = 22;
  if (colon != std::string::npos) {
    const char* end = address.data() + address.size();
    const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
    if (parsed.ec != std::errc() || parsed.ptr != end || port < 1 || port > 65535) return wrong;
  }
  std::vector<std::string> words = {"ssh",
                                    "-o",
                                    "UserKnownHostsFile=" + known_hosts.string(),
                                    "-o",
                                    "GlobalKnownHostsFile=/dev/null",
                                    "-o",
                                    "StrictHostKeyChecking=yes",
                                    "-o",
                                    "PasswordAuthentication=no",
                                    "-o",
                                    "ForwardAgent=no",
                                    "-o",
                                    "ConnectTimeout=15",
                                    "-p",
                                    std::to_string(port),
                                    "--",
                                    host};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

Result<ExitCode> ssh_command(const CommandLine& line, Desk& desk) {
  const Result<KnownRun> run = live_run(line, desk);
  if (!run) return run.error();
  if (run->progress.id.empty()) {
    return Error{ErrorKind::not_found, run->name + " has no machine yet",
                 "see `status " + run->name + "`"};
  }
  if (run->provider == "local") return local_shell(*run, line, desk);
  auto provider = provider_of(desk, run->provider);
  if (!provider) return provider.error();
  const Result<Instance> instance = (*provider)->get(run->progress.id);
  if (!instance) return instance.error();
  const fs::path known_hosts = desk.state_dir / "known_hosts" / run->run_id;
  std::error_code code;
  if (!fs::exists(known_hosts, code)) {
    return Error{ErrorKind::unsupported,
                 "the host key of " + run->progress.id + " at " + run->provider +
                     " is not known, so nothing proves that it is that machine",
                 "use the provider's console"};
  }
  const auto words = ssh_arguments(
      instance->ssh_user + "@" + instance->address + ":" + std::to_string(instance->ssh_port),
      known_hosts, line.remote_command);
  if (!words) return words.error();
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return become(*words, variables);
}

}  // namespace mayfly
