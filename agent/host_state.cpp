#include "agent/host_state.h"

#include <array>
#include <csignal>
#include <deque>
#include <fstream>
#include <sstream>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

namespace mayfly {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kMostOutput = 64 << 10;
constexpr std::size_t kKernelLines = 60;

std::string first_lines(const char* path, int lines) {
  std::ifstream in(path);
  std::string text;
  std::string line;
  while (lines-- > 0 && std::getline(in, line)) text += line + "\n";
  return text.empty() ? std::string("cannot be read\n") : text;
}

std::string disk_of(const fs::path& folder) {
  std::error_code code;
  const fs::space_info space = fs::space(folder, code);
  if (code) return folder.string() + ": " + code.message() + "\n";
  const auto mega = [](std::uintmax_t bytes) { return std::to_string(bytes / 1'000'000); };
  return folder.string() + ": " + mega(space.available) + " MB free of " + mega(space.capacity) +
         "\n";
}

// The ring buffer of the kernel, one record a read. Root only on most systems.
std::string kernel_tail() {
  const int fd = ::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return "cannot be read\n";
  std::deque<std::string> lines;
  std::array<char, 8192> record{};
  for (;;) {
    const ssize_t got = ::read(fd, record.data(), record.size());
    if (got < 0 && errno == EPIPE) continue;  // overwritten while we read: go on with what is left
    if (got <= 0) break;
    std::string_view text(record.data(), static_cast<std::size_t>(got));
    const auto semicolon = text.find(';');  // "6,1234,567890,-;the text"
    if (semicolon != std::string_view::npos) text.remove_prefix(semicolon + 1);
    lines.emplace_back(text.substr(0, text.find('\n')));
    if (lines.size() > kKernelLines) lines.pop_front();
  }
  ::close(fd);
  std::string tail;
  for (const std::string& line : lines) tail += line + "\n";
  return tail.empty() ? std::string("empty\n") : tail;
}

// Reads until the other side closes, or the limit; false: the limit.
bool read_within(int fd, milliseconds limit, std::string& text) {
  SystemClock clock;
  const SteadyTime until = clock.steady_now() + limit;
  std::array<char, 4096> block{};
  for (;;) {
    const milliseconds left = until - clock.steady_now();
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got <= 0) return true;
    if (text.size() < kMostOutput) text.append(block.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string output_of(const std::vector<std::string>& argv, milliseconds limit, std::string& note) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) {
    note = "no pipe";
    return "";
  }
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, pipe[1], 1);
  posix_spawn_file_actions_adddup2(&files, pipe[1], 2);
  // Nothing of the agent's environment, which may hold what nobody else should have.
  std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 2> environment = {path.data(), nullptr};
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, words[0], &files, nullptr, words.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  ::close(pipe[1]);
  std::string text;
  if (failed != 0) {
    note = argv[0] + " is not there";
  } else if (!read_within(pipe[0], limit, text)) {
    // A process in a driver's uninterruptible sleep ignores even SIGKILL: it is never waited for.
    ::kill(child, SIGKILL);
    note = argv[0] + " did not answer in time";
  }
  ::close(pipe[0]);
  if (failed == 0) ::waitpid(child, nullptr, note.empty() ? 0 : WNOHANG);
  return text;
}

std::string host_state(const std::vector<fs::path>& folders, milliseconds patience) {
  std::string text = "--- load ---\n" + first_lines("/proc/loadavg", 1);
  text += "--- memory ---\n" + first_lines("/proc/meminfo", 16);
  text += "--- disks ---\n";
  for (const fs::path& folder : folders) text += disk_of(folder);
  std::string note;
  std::string gpus = output_of({"nvidia-smi"}, patience, note);
  if (!note.empty()) gpus += note + "\n";
  text += "--- GPUs ---\n" + gpus;
  text += "--- kernel ---\n" + kernel_tail();
  return text;
}

}  // namespace mayfly
