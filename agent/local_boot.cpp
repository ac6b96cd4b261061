#include "agent/local_boot.h"

#include <charconv>
#include <cstdlib>
#include <iostream>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "core/atomic_file.h"
#include "core/base64.h"
#include "core/gzip.h"
#include "core/provider/local_record.h"
#include "core/spawn.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLargestFile = 16 << 20;  // far above any plan

Error bad(const std::string& what) {
  return Error{ErrorKind::invalid_config, "user-data: " + what};
}

// A list is an argument vector; a text is a line for the shell.
Result<std::vector<std::vector<std::string>>> parse_commands(const YAML::Node& list) {
  std::vector<std::vector<std::string>> commands;
  if (!list.IsSequence()) return bad("commands are not a list");
  for (const YAML::Node& item : list) {
    if (item.IsScalar()) {
      commands.push_back({"sh", "-c", item.as<std::string>()});
    } else if (item.IsSequence()) {
      commands.push_back(item.as<std::vector<std::string>>());
    } else {
      return bad("a command is neither a list nor a text");
    }
  }
  return commands;
}

Result<CloudFile> parse_file(const YAML::Node& item) {
  CloudFile file;
  std::string encoding = "text/plain";
  for (const auto& pair : item) {
    const auto key = pair.first.as<std::string>();
    const auto value = pair.second.as<std::string>();
    if (key == "path") {
      file.path = value;
    } else if (key == "content") {
      file.content = value;
    } else if (key == "encoding") {
      encoding = value;
    } else if (key == "permissions") {
      std::from_chars(value.data(), value.data() + value.size(), file.mode, 8);
    } else {
      return bad("unknown key write_files." + key);
    }
  }
  if (!file.path.starts_with('/') || file.path.find("..") != std::string::npos) {
    return bad("write_files: not an absolute path: " + file.path);
  }
  if (encoding == "b64" || encoding == "base64") {
    Result<std::string> decoded = base64_decode(file.content);
    if (!decoded) return while_doing("user-data: content of " + file.path, decoded.error());
    file.content = *std::move(decoded);
  } else if (encoding == "gz+b64") {
    const Result<std::string> packed = base64_decode(file.content);
    if (!packed) return while_doing("user-data: content of " + file.path, packed.error());
    Result<std::string> expanded = gzip_expand(*packed, kLargestFile);
    if (!expanded) return while_doing("user-data: content of " + file.path, expanded.error());
    file.content = *std::move(expanded);
  } else if (encoding != "text/plain") {
    return bad("unknown encoding " + encoding + " of " + file.path);
  }
  return file;
}

Result<CloudConfig> parse_nodes(const YAML::Node& root) {
  CloudConfig config;
  if (!root.IsMap()) return bad("not a map");
  for (const auto& pair : root) {
    const auto key = pair.first.as<std::string>();
    if (key == "bootcmd" || key == "runcmd") {
      auto commands = parse_commands(pair.second);
      if (!commands) return commands.error();
      (key == "bootcmd" ? config.boot_commands : config.run_commands) = *std::move(commands);
    } else if (key == "write_files") {
      for (const YAML::Node& item : pair.second) {
        auto file = parse_file(item);
        if (!file) return file.error();
        config.files.push_back(*std::move(file));
      }
    } else {
      return bad("unknown key " + key);
    }
  }
  return config;
}

void say(const std::string& text) {
  std::cout << "boot: " << text << std::endl;
}

std::vector<std::string> whole_environment() {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  return all;
}

// Children of children come to us when their parent dies (we are the subreaper), so any child is
// waited for until `awaited` is among them. 0: until there are none left.
int reap_until(pid_t awaited) {
  for (;;) {
    int status = 0;
    const pid_t done = ::waitpid(-1, &status, 0);
    if (done < 0 && errno != EINTR) return -1;
    if (done == awaited) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

void run_command(const std::vector<std::string>& argv, const fs::path& console) {
  SpawnSpec spec;
  spec.argv = {"/usr/bin/env"};  // finds the program by PATH
  spec.argv.insert(spec.argv.end(), argv.begin(), argv.end());
  spec.environment = whole_environment();
  spec.output = console;
  const Result<pid_t> child = spawn(spec);
  if (!child) {
    say(child.error().message);
    return;
  }
  if (const int code = reap_until(*child); code != 0) {
    say("a command ended with code " + std::to_string(code));
  }
}

void write_cloud_file(const CloudFile& file, const fs::path& root) {
  const fs::path target = root / file.path.substr(1);
  Status done = make_folders(target.parent_path());
  if (done) done = write_file(target, file.content, file.mode);
  if (!done) say(done.error().message);
}

// What the start-up scripts find in their environment.
void announce(const fs::path& folder) {
  std::error_code code;
  ::setenv("MAYFLY_ROOT", (folder / "root").c_str(), 1);
  ::setenv("MAYFLY_INSTANCE_DIR", folder.c_str(), 1);
  ::setenv("MAYFLY_HOST_PROGRAM", fs::read_symlink("/proc/self/exe", code).c_str(), 1);
}

}  // namespace

Result<CloudConfig> parse_cloud_config(const std::string& text) {
  if (!text.starts_with("#cloud-config\n")) return bad("does not begin with #cloud-config");
  try {
    return parse_nodes(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return bad(error.what());
  }
}

Status boot_local_instance(const fs::path& folder) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto self = find_process(::getpid());
  if (!self || self->session != self->pid) {
    return Error{ErrorKind::usage, "local-boot must be the leader of a session"};
  }
  const auto record = change_local_record(folder, [&](LocalRecord& changed) {
    changed.session = LocalSession{self->pid, self->start_ticks, boot_id()};
    if (changed.instance.state == InstanceState::pending) {
      changed.instance.state = InstanceState::running;
    }
  });
  if (!record) return record.error();
  if (record->instance.state != InstanceState::running) return Unit{};  // ended meanwhile

  const Result<std::string> text = read_file(folder / "user-data.yaml");
  if (!text) return text.error();
  const Result<CloudConfig> config = parse_cloud_config(*text);
  if (!config) return config.error();
  announce(folder);
  const fs::path console = folder / "console.log";
  for (const auto& command : config->boot_commands) run_command(command, console);
  for (const CloudFile& file : config->files) write_cloud_file(file, folder / "root");
  for (const auto& command : config->run_commands) run_command(command, console);
  say("start-up is over");
  reap_until(0);
  for (;;) ::pause();  // a machine that does nothing is still a machine, and is billed
}

}  // namespace mayfly
