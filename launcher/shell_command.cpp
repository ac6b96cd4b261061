#include "launcher/shell_command.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "core/atomic_file.h"
#include "core/provider/local_record.h"
#include "launcher/attached_host.h"
#include "launcher/ssh_link.h"
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

Result<ExitCode> ssh_command(const CommandLine& line, Desk& desk) {
  const Result<KnownRun> run = live_run(line, desk);
  if (!run) return run.error();
  if (run->progress.id.empty()) {
    return Error{ErrorKind::not_found, run->name + " has no machine yet",
                 "see `status " + run->name + "`"};
  }
  if (run->provider == "local") return local_shell(*run, line, desk);
  if (run->address.empty()) {
    return Error{ErrorKind::not_found, "the machine of " + run->name + " was not reached yet",
                 "see `status " + run->name + "`"};
  }
  const Result<SshLink> link = link_of(*run, desk.state_dir);
  if (!link) return link.error();
  std::vector<std::string> words = link->words();
  if (line.remote_command.empty())
    std::replace(words.begin(), words.end(), std::string("-T"), std::string("-t"));
  words.insert(words.end(), line.remote_command.begin(), line.remote_command.end());
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  return become(words, variables);
}

}  // namespace mayfly
