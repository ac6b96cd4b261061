// The processes of this machine, as /proc shows them: who is alive, in which session, since when.
//
// A process number alone proves nothing: numbers are used again. Number, start time and the boot
// they belong to do. Linux only (proc(5)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace mayfly {

struct ProcessInfo {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  unsigned long long start_ticks = 0;  // since boot, in clock ticks
  char state = '?';                    // R, S, D, T, Z ...

  // A zombie runs nothing and holds nothing; it only waits to be noticed by its parent.
  bool alive() const {
    return state != 'Z' && state != 'X';
  }
};

// nullopt: there is no such process.
std::optional<ProcessInfo> find_process(pid_t pid);
// Those that end while we look may or may not be in it.
std::vector<ProcessInfo> all_processes();

enum class Readable { yes, no };
struct ProcessVariable {
  Readable readable = Readable::no;  // no: another user's, not dumpable, or gone
  std::optional<std::string> value;
};
// The variable `name` of the environment that the process was started with.
ProcessVariable process_variable(pid_t pid, std::string_view name);

// Different after every boot of the machine (/proc/sys/kernel/random/boot_id).
std::string boot_id();

// "pid start boot" of a process, by which it can be known again; "" when there is no such process.
std::string process_mark(pid_t pid);
// Whether the process of that mark is alive.
bool is_alive(const std::string& mark);

}  // namespace mayfly
