#include "agent/steering_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"

namespace mayfly {

namespace {

using Time = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

constexpr milliseconds kRest{1000};    // after a connection that could not be taken
constexpr milliseconds kGoodbye{500};  // for the client to take the answer
constexpr int kQueue = 128;            // of clients that wait in the kernel

Error refused(const std::string& doing) {
  return Error{ErrorKind::refused, doing + ": " + std::strerror(errno)};
}

// The name of a socket has room for 107 bytes, and a run directory may be deeper: so the socket is
// made under the short name that its open folder has in /proc.
Result<int> listen_at(const std::filesystem::path& path) {
  const int folder = ::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return refused("opening " + path.parent_path().string());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name =
      "/proc/self/fd/" + std::to_string(folder) + "/" + path.filename().string();
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  ::unlinkat(folder, path.filename().c_str(), 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  // Nobody can connect before listen(), so that there is no moment with wider rights.
  const bool open =
      fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::fchmodat(folder, path.filename().c_str(), 0600, 0) == 0 && ::listen(fd, kQueue) == 0;
  const Error error = refused("making the socket " + path.string());
  ::close(folder);
  if (open) return fd;
  if (fd >= 0) ::close(fd);
  return error;
}

Result<int> listen_on(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return refused("making a socket");
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(fd, kQueue) == 0) {
    return fd;
  }
  const Error error = refused("listening on port " + std::to_string(port) + " of 127.0.0.1");
  ::close(fd);
  return error;
}

// The mode of the socket says who may connect; this is asked as well, since a folder can be shared
// by means that know no modes.
bool is_own_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::getuid() || peer.uid == 0;
}

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    default:
      return "Service Unavailable";
  }
}

std::string on_the_wire(const SteeringAnswer& answer, bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     std::string(reason_of(answer.status)) + "\r\nContent-Type: " + answer.type +
                     "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                     "\r\nConnection: close\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: "
                     "default-src 'none'; style-src 'unsafe-inline'\r\n";
  if (!answer.extra_header.empty()) text += answer.extra_header + "\r\n";
  text += "\r\n";
  return with_body ? text + answer.body : text;
}

struct Connection {
  int fd = -1;
  Door door = Door::socket;
  Time until;
  std::string in;
  std::string out;  // empty until it is answered
  std::size_t sent = 0;
  bool leaving = false;  // the answer is out; what the client still sends is thrown away
};

}  // namespace

class SteeringServer::Parts {
 public:
  struct Opened {
    std::array<int, 2> listeners;  // by Door
    int wake;
    int port;
    milliseconds whole;
  };
  Parts(const Opened& opened, Answer answer) : opened_(opened), answer_(std::move(answer)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~Parts() {
    const std::uint64_t one = 1;
    if (::write(opened_.wake, &one, sizeof one) == sizeof one) thread_.join();
    for (const Connection& connection : connections_) ::close(connection.fd);
    for (const int fd : opened_.listeners) ::close(fd);
    ::close(opened_.wake);
  }
  int port() const {
    return opened_.port;
  }

 private:
  // Until the wake descriptor says so.
  void serve() {
    std::vector<pollfd> waiting;
    for (;;) {
      waiting.assign(1, pollfd{opened_.wake, POLLIN, 0});
      for (const Door door : {Door::socket, Door::port}) {
        const int fd = opened_.listeners[static_cast<std::size_t>(door)];
        waiting.push_back({has_room(door) ? fd : -1, POLLIN, 0});
      }
      for (const Connection& connection : connections_) {
        const bool writes = !connection.out.empty() && !connection.leaving;
        waiting.push_back({connection.fd, static_cast<short>(writes ? POLLOUT : POLLIN), 0});
      }
      ::poll(waiting.data(), waiting.size(), wait_ms());
      if (waiting[0].revents != 0) return;
      const std::size_t served = connections_.size();
      for (std::size_t i = 0; i < served; ++i) {
        if (waiting[i + 3].revents != 0) step(connections_[i]);
      }
      if (waiting[1].revents != 0) take(Door::socket);
      if (waiting[2].revents != 0) take(Door::port);
      drop_finished();
    }
  }

  bool has_room(Door door) const {
    const auto taken = std::count_if(connections_.begin(), connections_.end(),
                                     [door](const Connection& c) { return c.door == door; });
    return taken < kMostConnections && std::chrono::steady_clock::now() >= resting_until_;
  }

  int wait_ms() const {
    const Time now = std::chrono::steady_clock::now();
    std::optional<Time> first;
    if (resting_until_ > now) first = resting_until_;
    for (const Connection& connection : connections_) {
      if (!first || connection.until < *first) first = connection.until;
    }
    if (!first) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*first - now).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
  }

  void take(Door door) {
    const int fd = ::accept4(opened_.listeners[static_cast<std::size_t>(door)], nullptr, nullptr,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      // Out of descriptors, say: the listener stays readable, so look away for a moment.
      if (errno != EAGAIN && errno != ECONNABORTED) {
        resting_until_ = std::chrono::steady_clock::now() + kRest;
      }
      return;
    }
    if (door == Door::socket && !is_own_user(fd)) {
      ::close(fd);
      return;
    }
    connections_.push_back({.fd = fd,
                            .door = door,
                            .until = std::chrono::steady_clock::now() + opened_.whole,
                            .in = {},
                            .out = {}});
  }

  void step(Connection& connection) {
    if (connection.out.empty() || connection.leaving) {
      read(connection);
    } else {
      write(connection);
    }
  }

  void read(Connection& connection) {
    std::array<char, 4096> block;
    const ssize_t got = ::recv(connection.fd, block.data(), block.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return finish(connection);
    if (connection.leaving) return;
    connection.in.append(block.data(), static_cast<std::size_t>(got));
    const auto request = parse_steering_request(connection.in);
    if (request && !*request) return;
    SteeringAnswer answer{.status = 400, .body = "cannot read this request\n"};
    if (request) answer = answer_(**request, connection.door);
    connection.out = on_the_wire(answer, !request || (*request)->method != "HEAD");
    connection.in = {};
    write(connection);
  }

  void write(Connection& connection) {
    const std::size_t left = connection.out.size() - connection.sent;
    const ssize_t wrote =
        ::send(connection.fd, connection.out.data() + connection.sent, left, MSG_NOSIGNAL);
    if (wrote < 0) {
      if (errno != EAGAIN && errno != EINTR) finish(connection);
      return;
    }
    connection.sent += static_cast<std::size_t>(wrote);
    if (connection.sent < connection.out.size()) return;
    // A close with unread bytes of the client in the kernel would cut the answer off: so only our
    // side is closed, and the client's bytes are read away for a moment.
    ::shutdown(connection.fd, SHUT_WR);
    connection.leaving = true;
    connection.until = std::min(connection.until, std::chrono::steady_clock::now() + kGoodbye);
  }

  static void finish(Connection& connection) {
    connection.until = Time::min();
  }

  void drop_finished() {
    const Time now = std::chrono::steady_clock::now();
    std::erase_if(connections_, [now](const Connection& connection) {
      if (connection.until > now) return false;
      ::close(connection.fd);
      return true;
    });
  }

  Opened opened_;
  Answer answer_;
  std::vector<Connection> connections_;
  Time resting_until_ = Time::min();
  std::thread thread_;
};

Result<std::unique_ptr<SteeringServer>> SteeringServer::start(const SteeringDoors& doors,
                                                              Answer answer) {
  const Result<int> socket = listen_at(doors.socket);
  if (!socket) return socket.error();
  Result<int> tcp = listen_on(doors.port);
  if (!tcp && doors.port != 0) {
    log_warn(tcp.error().message + "; another port is taken");
    tcp = listen_on(0);
  }
  const int wake = ::eventfd(0, EFD_CLOEXEC);
  if (!tcp || wake < 0) {
    const Error error = tcp ? refused("making an eventfd") : tcp.error();
    ::close(*socket);
    if (tcp) ::close(*tcp);
    if (wake >= 0) ::close(wake);
    return error;
  }
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  ::getsockname(*tcp, reinterpret_cast<sockaddr*>(&bound), &size);
  return std::unique_ptr<SteeringServer>(new SteeringServer(std::make_unique<Parts>(
      Parts::Opened{{*socket, *tcp}, wake, ntohs(bound.sin_port), doors.whole},
      std::move(answer))));
}

SteeringServer::SteeringServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

SteeringServer::~SteeringServer() = default;

int SteeringServer::port() const {
  return parts_->port();
}

}  // namespace mayfly
