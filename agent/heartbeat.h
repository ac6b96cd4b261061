// Signs of life, for the two who watch the agent: systemd (layer 3) and the watchdog (layer 4).
//
// systemd gets READY=1 once and WATCHDOG=1 from then on, as datagrams to NOTIFY_SOCKET. That is the
// whole of the protocol we need and it is stable (sd_notify(3), "Notes"), so these few lines stand
// in place of libsystemd, of which Debian has no static version.
//
// The watchdog gets a line in a file in memory: boot id, seconds since boot, the agent's process
// number, that process's start (clock ticks since boot), and the agent's own last moment (seconds
// since boot). The boot's clock and not the wall's, and never the time of the file: cloud-init/
// watch.sh must be right about a clock that was set.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "agent/limits.h"
#include "core/clock.h"

namespace mayfly {

class Heartbeat {
 public:
  // `file` "": none is written; else the first line is there at once, without a last moment: to
  // reach the provider can take longer than the watchdog grants a dead agent to come back. Takes
  // NOTIFY_SOCKET out of the environment, so that no child gets it. The clock outlives it.
  Heartbeat(std::filesystem::path file, Clock& clock);

  // Once a turn; writes and sends when a second has passed. `left`: until the hard deadline. A
  // failure is nobody's but the watcher's: the loop must not stop for it.
  void beat(Age left);

 private:
  void write(std::optional<Age> left) const;
  void send(const std::string& message) const;

  std::filesystem::path file_;
  Clock& clock_;
  std::string socket_;
  std::string boot_;
  unsigned long long start_ticks_ = 0;
  std::optional<SteadyTime> last_;
};

}  // namespace mayfly
