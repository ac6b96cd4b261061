// The doors of a live agent. What must not happen: that a client which says nothing, says it slowly
// or never stops keeps others out for longer than its five seconds; that another user gets in; that
// ending the server waits for a client.
#include "agent/steering_server.h"

#include <chrono>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock_ = std::chrono::steady_clock;

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

int connect_port(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

int connect_socket(const fs::path& path) {
  const int folder = ::open(path.parent_path().c_str(), O_PATH | O_CLOEXEC);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name =
      "/proc/self/fd/" + std::to_string(folder) + "/" + path.filename().string();
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  const bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(folder);
  if (connected) return fd;
  ::close(fd);
  return -1;
}

void send_text(int fd, std::string_view text) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

// Everything until the other side closes, or until `limit`.
std::string read_all(int fd, std::chrono::milliseconds limit) {
  std::string text;
  const auto until = Clock_::now() + limit;
  char block[4096];
  while (Clock_::now() < until) {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, 20) <= 0) continue;
    const ssize_t got = ::recv(fd, block, sizeof block, 0);
    if (got <= 0) break;
    text.append(block, static_cast<std::size_t>(got));
  }
  return text;
}

std::string ask(int fd, std::string_view request = kGet) {
  EXPECT_GE(fd, 0);
  if (fd < 0) return "";
  send_text(fd, request);
  ::shutdown(fd, SHUT_WR);
  const std::string answer = read_all(fd, 10s);
  ::close(fd);
  return answer;
}

class SteeringServerTest : public TemporaryFolder {
 protected:
  void start(SteeringServer::Answer answer = {}, std::chrono::milliseconds whole = 5s) {
    if (!answer) {
      answer = [](const SteeringRequest& request, Door door) {
        return SteeringAnswer{.body = std::string(door == Door::socket ? "socket" : "port") + " " +
                                      request.method + " " + request.path};
      };
    }
    auto started = SteeringServer::start({socket, 0, whole}, std::move(answer));
    ASSERT_TRUE(started) << started.error().message;
    server = std::move(*started);
  }
  fs::path socket = folder_ / "control.sock";
  std::unique_ptr<SteeringServer> server;
};

TEST_F(SteeringServerTest, AnswersByBothDoors) {
  start();
  const std::string by_port = ask(connect_port(server->port()));
  EXPECT_TRUE(by_port.starts_with("HTTP/1.1 200 OK\r\n")) << by_port;
  EXPECT_TRUE(by_port.ends_with("\r\n\r\nport GET /")) << by_port;
  EXPECT_TRUE(ask(connect_socket(socket)).ends_with("socket GET /"));
  const std::string head = ask(connect_socket(socket), "HEAD / HTTP/1.1\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 13\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_TRUE(ask(connect_socket(socket), "nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

TEST_F(SteeringServerTest, TheSocketIsForItsOwnUserAlone) {
  const mode_t old = ::umask(0);
  start();
  ::umask(old);
  struct stat info {};
  ASSERT_EQ(::stat(socket.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  // And another user is sent away even where the mode does not keep him out.
  if (::getuid() != 0) GTEST_SKIP() << "only root can become another user";
  ::chmod(socket.c_str(), 0777);
  ::chmod(folder_.c_str(), 0755);
  int result[2];
  ASSERT_EQ(::pipe(result), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char got = 'x';
    if (::setresuid(65534, 65534, 65534) == 0) {
      const int fd = connect_socket(socket);
      got = 'c';
      if (fd >= 0) {
        (void)::send(fd, kGet, std::string_view(kGet).size(), MSG_NOSIGNAL);
        got = ::recv(fd, &got, 1, 0) > 0 ? 'a' : 'n';
      }
    }
    (void)!::write(result[1], &got, 1);
    ::_exit(0);
  }
  char got = '?';
  ASSERT_EQ(::read(result[0], &got, 1), 1);
  EXPECT_TRUE(got == 'n' || got == 'c') << got;
  ::close(result[0]);
  ::close(result[1]);
}

TEST_F(SteeringServerTest, AFolderDeeperThanASocketsNameIsFine) {
  socket = folder_ / std::string(100, 'd') / std::string(100, 'e') / "control.sock";
  fs::create_directories(socket.parent_path());
  std::ofstream(socket) << "what an earlier life left";
  start();
  EXPECT_TRUE(ask(connect_socket(socket)).ends_with("socket GET /"));
}

TEST_F(SteeringServerTest, APortThatIsTakenIsReplaced) {
  start();
  const int taken = server->port();
  const auto other = SteeringServer::start({folder_ / "other.sock", taken, 5s},
                                           [](const auto&, Door) { return SteeringAnswer{}; });
  ASSERT_TRUE(other);
  EXPECT_NE((*other)->port(), taken);
}

// Clients that hold every place of the port: one door does not take the other's, and the places
// come free again by the deadline.
TEST_F(SteeringServerTest, SilentAndSlowClientsHoldTheirPlacesUntilTheDeadlineOnly) {
  constexpr auto kWhole = 400ms;
  start({}, kWhole);
  const auto began = Clock_::now();
  std::vector<int> hostile;
  for (int i = 0; i < 3 * SteeringServer::kMostConnections; ++i) {
    hostile.push_back(connect_port(server->port()));
    ASSERT_GE(hostile.back(), 0);
    send_text(hostile.back(), "GET / HT");
  }
  EXPECT_TRUE(ask(connect_socket(socket)).ends_with("socket GET /"));
  EXPECT_LT(Clock_::now() - began, 300ms);

  // One byte now and then does not prolong it.
  std::thread dripping([&] {
    for (int i = 0; i < 40; ++i) {
      std::this_thread::sleep_for(50ms);
      for (const int fd : hostile) (void)::send(fd, "x", 1, MSG_NOSIGNAL);
    }
  });
  const int patient = connect_port(server->port());
  send_text(patient, kGet);
  const std::string answer = read_all(patient, 20s);
  const auto took = Clock_::now() - began;
  ::close(patient);
  dripping.join();
  for (const int fd : hostile) ::close(fd);
  EXPECT_TRUE(answer.ends_with("port GET /")) << answer;
  // Three rounds of places were taken before it.
  EXPECT_GT(took, 2 * kWhole);
  EXPECT_LT(took, 3 * kWhole + 1s);
}

TEST_F(SteeringServerTest, AClientThatNeverStopsIsCutOff) {
  start();
  const int fd = connect_port(server->port());
  ASSERT_GE(fd, 0);
  const std::string block(1 << 20, 'a');
  std::size_t sent = 0;
  const auto began = Clock_::now();
  for (;;) {
    const ssize_t wrote = ::send(fd, block.data(), block.size(), MSG_NOSIGNAL);
    if (wrote <= 0 || Clock_::now() - began > 10s) break;
    sent += static_cast<std::size_t>(wrote);
  }
  EXPECT_LT(Clock_::now() - began, 5s);
  ::close(fd);
  EXPECT_TRUE(ask(connect_port(server->port())).ends_with("port GET /"));
}

TEST_F(SteeringServerTest, AClientThatDoesNotReadItsAnswerDelaysNobody) {
  start([](const SteeringRequest&, Door door) {
    return SteeringAnswer{.body = std::string(door == Door::port ? 64 << 20 : 10, 'b')};
  });
  const int fd = connect_port(server->port());
  send_text(fd, kGet);
  const auto began = Clock_::now();
  EXPECT_FALSE(ask(connect_socket(socket)).empty());
  EXPECT_LT(Clock_::now() - began, 1s);
  // Ending does not wait for it either.
  server.reset();
  EXPECT_LT(Clock_::now() - began, 2s);
  ::close(fd);
}

TEST_F(SteeringServerTest, DoesNothingWhileNobodyAsks) {
  start();
  timespec before{}, after{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(500ms);
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                      static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e9;
  EXPECT_LT(used, 0.01);
}

}  // namespace
}  // namespace mayfly
