#include "launcher/embedded_hub.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <random>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/config/environment.h"
#include "core/file_lock.h"
#include "core/json.h"
#include "core/spawn.h"
#include "core/user_folders.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr int kUsualPort = 8377;
// Long enough to look at results the next morning.
constexpr const char* kIdleExit = "24h";
constexpr auto kComesUpWithin = 30s;

fs::path ready_file() {
  return state_folder() / "localhub.json";
}
fs::path token_file() {
  return data_folder() / "hub-token";
}

std::string usual_endpoint(int port) {
  return "http://127.0.0.1:" + std::to_string(port);
}

// The endpoint that a hub wrote when it was ready.
std::optional<std::string> noted_endpoint() {
  const Result<std::string> text = read_file(ready_file());
  if (!text) return std::nullopt;
  const Result<nlohmann::json> json = parse_json(*text, ready_file().string());
  if (!json || !json->is_object() || !json->contains("endpoint")) return std::nullopt;
  const auto& endpoint = (*json)["endpoint"];
  if (!endpoint.is_string()) return std::nullopt;
  return endpoint.get<std::string>();
}

// Whether a hub of ours is alive: it holds the lock of its folder. The ready file alone may be one
// from before a reboot, and somebody else's hub on that port now.
bool is_served() {
  const Result<FileLock> lock = FileLock::take(embedded_hub_folder() / "lock", 0ms);
  return !lock && lock.error().kind == ErrorKind::unreachable;
}

Result<Secret> token() {
  if (Secret there = embedded_hub_token(); !there.empty()) return there;
  std::random_device device;
  std::array<char, 64> made{};
  std::snprintf(made.data(), made.size(), "hf_local%08x%08x%08x", device(), device(), device());
  const Status written = write_file(token_file(), std::string(made.data()) + "\n", 0600);
  if (!written) return written.error();
  return Secret(made.data());
}

// What the hub inherits: nothing secret.
std::vector<std::string> hub_environment() {
  std::vector<std::string> environment;
  for (const auto& [name, value] : current_environment()) {
    const bool harmless = name == "PATH" || name == "HOME" || name == "LANG" || name == "TMPDIR" ||
                          name == "LD_LIBRARY_PATH" || name.starts_with("XDG_");
    if (harmless) environment.push_back(name + "=" + value);
  }
  return environment;
}

Result<pid_t> start(const fs::path& program, int port) {
  std::error_code code;
  fs::remove(ready_file(), code);
  SpawnSpec hub;
  hub.argv = {program.string(),
              "--root",
              embedded_hub_folder().string(),
              "--port",
              std::to_string(port),
              "--token-file",
              token_file().string(),
              "--ready-file",
              ready_file().string(),
              "--idle-exit",
              kIdleExit};
  hub.environment = hub_environment();
  hub.output = state_folder() / "localhub.log";
  hub.own_session = true;
  Result<pid_t> started = spawn(hub);
  if (!started) return while_doing("starting the local hub", started.error());
  return started;
}

// Waits for the ready file and for an answer; nullopt when the process ended or took too long.
std::optional<std::string> wait_for_hub(pid_t hub, Clock& clock) {
  const SteadyTime give_up_at = clock.steady_now() + kComesUpWithin;
  while (clock.steady_now() < give_up_at) {
    const auto endpoint = noted_endpoint();
    if (endpoint && answers(*endpoint)) return endpoint;
    if (wait_for_exit(hub, 50ms)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Secret embedded_hub_token() {
  Result<std::string> text = read_file(token_file());
  if (!text) return Secret();
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return Secret(std::move(*text));
}

fs::path embedded_hub_folder() {
  return data_folder() / "hub";
}

std::string embedded_hub_endpoint() {
  return noted_endpoint().value_or(usual_endpoint(kUsualPort));
}

bool answers(const std::string& endpoint) {
  constexpr std::string_view kPrefix = "http://127.0.0.1:";
  if (!endpoint.starts_with(kPrefix)) return false;
  std::uint16_t port = 0;
  const char* const end = endpoint.data() + endpoint.size();
  if (std::from_chars(endpoint.data() + kPrefix.size(), end, port).ec != std::errc()) return false;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool open = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return open;
}

Result<EmbeddedHub> ensure_embedded_hub(const fs::path& programs, Clock& clock) {
  for (const fs::path& folder : {state_folder(), embedded_hub_folder()}) {
    if (const Status made = make_folders(folder); !made) return made.error();
  }
  // Of two that begin at the same time the second waits, and finds the token and the hub of the
  // first. Without this each made a token, and the hub knew only one of them.
  const Result<FileLock> lock =
      FileLock::take(data_folder() / "hub-start.lock", 2 * kComesUpWithin + 5s);
  if (!lock) return lock.error();
  const Result<Secret> secret = token();
  if (!secret) return secret.error();
  if (const auto noted = noted_endpoint(); noted && is_served() && answers(*noted)) {
    return EmbeddedHub{*noted, *secret};
  }
  const fs::path program = programs / "localhub";
  if (::access(program.c_str(), X_OK) != 0) {
    return Error{ErrorKind::not_found,
                 "the program `localhub` is not beside `launch` in " + programs.string(),
                 "build it with ./dev build, or name a hub: --repo with HF_TOKEN"};
  }
  // Another program, or a hub with another data folder, may have the usual port.
  for (const int port : {kUsualPort, 0}) {
    const Result<pid_t> started = start(program, port);
    if (!started) return started.error();
    if (const auto endpoint = wait_for_hub(*started, clock)) return EmbeddedHub{*endpoint, *secret};
  }
  return Error{ErrorKind::failed, "the local hub did not come up",
               "see " + (state_folder() / "localhub.log").string()};
}

}  // namespace mayfly
