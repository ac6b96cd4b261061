#include "core/provider/local_end.h"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/provider/local_record.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Status mark_terminating(const fs::path& folder) {
  const auto marked = change_local_record(folder, [](LocalRecord& record) {
    if (record.instance.state != InstanceState::gone) {
      record.instance.state = InstanceState::terminating;
    }
  });
  if (!marked) return marked.error();
  return Unit{};
}

Status end_local_instance(const fs::path& folder, std::chrono::milliseconds grace, Clock& clock) {
  // Not closed on purpose: the lock is held for as long as this process works on it.
  const int lock = ::open((folder / "end.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock >= 0 && ::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return Unit{};
  }
  const Result<LocalRecord> first = read_local_record(folder);
  if (!first) return first.error();
  LocalRecord record = *first;
  clock.sleep_for(grace);

  // Until two looks in a row find nobody: a process may start another between our look and our
  // kill, and one that is just being started shows its mark a moment later.
  int empty_looks = 0;
  for (auto wait = 10ms;; wait = std::min(2 * wait, std::chrono::milliseconds(1000))) {
    // Read again: the boot process may have noted its session meanwhile.
    if (const Result<LocalRecord> now = read_local_record(folder)) record = *now;
    const std::vector<ProcessInfo> alive = processes_of(record);
    if (alive.empty() && ++empty_looks == 2) break;
    if (!alive.empty()) empty_looks = 0;
    for (const ProcessInfo& process : alive) ::kill(process.pid, SIGKILL);
    clock.sleep_for(wait);
  }

  std::error_code code;
  if (!record.secrets_folder.empty()) fs::remove_all(record.secrets_folder, code);
  const auto ended = change_local_record(folder, [&](LocalRecord& changed) {
    changed.instance.state = InstanceState::gone;
    if (!changed.instance.ended_at) changed.instance.ended_at = clock.now();
    changed.secrets_folder.clear();
  });
  if (lock >= 0) ::close(lock);
  if (!ended) return ended.error();
  return Unit{};
}

}  // namespace mayfly
