#include "core/command.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mayfly {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMostErrors = 64 << 10;

// Ours and the child's end; closed on every way out.
struct Pipe {
  int ours = -1, theirs = -1;
  Pipe() {
    // A socket in place of a pipe: writing to one whose reader is gone can be told not to raise
    // SIGPIPE.
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
    ours = ends[0];
    theirs = ends[1];
    ::fcntl(ours, F_SETFL, O_NONBLOCK);
  }
  ~Pipe() {
    close_ours();
    close_theirs();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_ours() {
    if (ours >= 0) ::close(std::exchange(ours, -1));
  }
  void close_theirs() {
    if (theirs >= 0) ::close(std::exchange(theirs, -1));
  }
};

Result<pid_t> start(const Command& command, const Pipe& in, const Pipe& out, const Pipe& err) {
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
    list.push_back(nullptr);
    return list;
  };
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.theirs, 0);
  posix_spawn_file_actions_adddup2(&files, out.theirs, 1);
  posix_spawn_file_actions_adddup2(&files, err.theirs, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  // A group of its own: Ctrl-C is for us, who decide what becomes of it.
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int code =
      posix_spawnp(&child, command.argv[0].c_str(), &files, &attributes,
                   pointers(command.argv).data(), pointers(command.environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (code == 0) return child;
  return Error{code == ENOENT ? ErrorKind::not_found : ErrorKind::refused,
               "starting " + command.argv[0] + ": " + std::strerror(code)};
}

// False: nothing more will come.
bool take(int fd, std::string& text, std::size_t most) {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(fd, buffer.data(), buffer.size());
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  text.append(buffer.data(), std::min(static_cast<std::size_t>(got), most - text.size()));
  return true;
}

int exit_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<CommandAnswer> run_to_end(const Command& command) {
  Pipe in, out, err;
  if (in.ours < 0 || out.ours < 0 || err.ours < 0) {
    return Error{ErrorKind::refused, "no pipe for " + command.argv[0]};
  }
  const Result<pid_t> child = start(command, in, out, err);
  if (!child) return child.error();
  for (Pipe* pipe : {&in, &out, &err}) pipe->close_theirs();

  CommandAnswer answer;
  std::string_view left = command.input;
  if (left.empty()) in.close_ours();
  const auto end = steady_clock::now() + command.limit;
  while (out.ours >= 0 || err.ours >= 0) {
    const auto wait =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now());
    if (wait.count() <= 0) break;
    std::array<pollfd, 3> waiting{pollfd{in.ours, POLLOUT, 0}, pollfd{out.ours, POLLIN, 0},
                                  pollfd{err.ours, POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(wait.count())) < 0) continue;
    if (waiting[0].revents != 0) {
      const ssize_t sent = ::send(in.ours, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent > 0) left.remove_prefix(static_cast<std::size_t>(sent));
      const bool broken = sent < 0 && errno != EAGAIN && errno != EINTR;
      if (left.empty() || broken) in.close_ours();
    }
    if (waiting[1].revents != 0 && !take(out.ours, answer.out, command.most_output))
      out.close_ours();
    if (waiting[2].revents != 0 && !take(err.ours, answer.err, kMostErrors)) err.close_ours();
  }
  const bool late = out.ours >= 0 || err.ours >= 0;
  if (late) ::kill(-*child, SIGKILL);
  int status = 0;
  while (::waitpid(*child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) {
    return Error{ErrorKind::unreachable, command.argv[0] + " did not end in time" +
                                             (answer.err.empty() ? "" : ": " + answer.err)};
  }
  answer.code = exit_of(status);
  return answer;
}

}  // namespace mayfly
