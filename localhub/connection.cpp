#include "localhub/connection.h"

#include <algorithm>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace mayfly::localhub {

namespace {

constexpr int kHighestDescriptor = 4096;

int port_of(int (*name_of)(int, sockaddr*, socklen_t*), int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (name_of(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -1;
  return address.sin_family == AF_INET ? ntohs(address.sin_port) : -1;
}

template <class Act>
void for_connections(int local_port, int remote_port, Act act) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const int highest = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, kHighestDescriptor));
  for (int fd = 3; fd < highest; ++fd) {
    if (port_of(::getsockname, fd) != local_port) continue;
    const int remote = port_of(::getpeername, fd);
    if (remote > 0 && (remote_port == 0 || remote == remote_port)) act(fd);
  }
}

}  // namespace

void shut_down_connections(int local_port, int remote_port) {
  for_connections(local_port, remote_port, [](int fd) { ::shutdown(fd, SHUT_RDWR); });
}

void reset_connections(int local_port, int remote_port) {
  for_connections(local_port, remote_port, [](int fd) {
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;  // dissolves the association, by RST: connect(2)
    ::connect(fd, &nowhere, sizeof nowhere);
  });
}

}  // namespace mayfly::localhub
