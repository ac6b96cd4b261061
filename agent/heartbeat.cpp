#include "agent/heartbeat.h"

#include <cstdlib>
#include <cstring>
#include <fstream>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/process_table.h"

namespace mayfly {

namespace {

constexpr auto kEvery = std::chrono::seconds(1);

std::int64_t seconds_of(std::chrono::milliseconds time) {
  return std::chrono::floor<std::chrono::seconds>(time).count();
}

}  // namespace

// In a container, what the kernel says to a sandboxed unit may differ from what it says to the
// scripts (systemd-nspawn puts an id of its own over the file): the fuse's note counts.
Heartbeat::Heartbeat(std::filesystem::path file, Clock& clock)
    : file_(std::move(file)), clock_(clock), boot_(boot_id()) {
  std::string noted;
  if (std::ifstream(file_.parent_path() / "boot") >> noted) boot_ = noted;
  if (const char* socket = std::getenv("NOTIFY_SOCKET")) socket_ = socket;
  ::unsetenv("NOTIFY_SOCKET");
  if (const auto self = find_process(::getpid())) start_ticks_ = self->start_ticks;
  if (!file_.empty()) write(std::nullopt);
}

void Heartbeat::beat(Age left) {
  const SteadyTime now = clock_.steady_now();
  if (last_ && now - *last_ < kEvery) return;
  // The file first: what READY sets off reads it.
  if (!file_.empty()) write(left);
  send(last_ ? "WATCHDOG=1" : "READY=1\nWATCHDOG=1");
  last_ = now;
}

// Not synced: it is in memory, and gone with the boot it belongs to.
void Heartbeat::write(std::optional<Age> left) const {
  const auto now = clock_.steady_now().time_since_epoch();
  const std::filesystem::path fresh = file_.string() + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << boot_ << ' ' << seconds_of(now) << ' ' << ::getpid() << ' ' << start_ticks_ << ' ';
    if (left) out << seconds_of(now + std::max(Age::zero(), *left));
    out << '\n';
    if (!out.flush()) return;
  }
  std::error_code ignored;
  std::filesystem::rename(fresh, file_, ignored);
}

void Heartbeat::send(const std::string& message) const {
  sockaddr_un address{};
  if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
           reinterpret_cast<const sockaddr*>(&address), length);
  ::close(fd);
}

}  // namespace mayfly
