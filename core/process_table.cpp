#include "core/process_table.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/atomic_file.h"

namespace mayfly {

namespace {

// "pid (name) state ppid pgrp session ... starttime ...": the name may hold spaces and brackets,
// so the fields are counted from its last bracket (proc(5), /proc/pid/stat).
std::optional<ProcessInfo> parse_stat(pid_t pid, const std::string& text) {
  const auto close = text.rfind(')');
  if (close == std::string::npos || close + 2 >= text.size()) return std::nullopt;
  ProcessInfo info;
  info.pid = pid;
  const int fields =
      std::sscanf(text.c_str() + close + 2,
                  "%c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &info.state, &info.parent, &info.group, &info.session, &info.start_ticks);
  if (fields != 5) return std::nullopt;
  return info;
}

}  // namespace

std::optional<ProcessInfo> find_process(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return std::nullopt;
  return parse_stat(pid, *text);
}

std::vector<ProcessInfo> all_processes() {
  std::vector<ProcessInfo> processes;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", code)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (const auto info = find_process(pid)) processes.push_back(*info);
  }
  return processes;
}

ProcessVariable process_variable(pid_t pid, std::string_view name) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/environ");
  if (!text) return {};
  ProcessVariable found{Readable::yes, std::nullopt};
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find('\0'));
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      found.value = std::string(entry.substr(name.size() + 1));
      return found;
    }
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
  }
  return found;
}

std::string boot_id() {
  const Result<std::string> read = read_file("/proc/sys/kernel/random/boot_id");
  std::string id = read ? *read : "";
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

std::string process_mark(pid_t pid) {
  const std::optional<ProcessInfo> process = find_process(pid);
  if (!process || !process->alive()) return "";
  return std::to_string(pid) + " " + std::to_string(process->start_ticks) + " " + boot_id();
}

bool is_alive(const std::string& mark) {
  const int pid = std::atoi(mark.c_str());
  return pid > 0 && process_mark(pid) == mark;
}

}  // namespace mayfly
