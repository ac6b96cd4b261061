#include "core/spawn.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mayfly {

namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// What posix_spawn wants set up; freed on every way out.
struct Actions {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  Actions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~Actions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
};

void set_up(Actions& actions, const SpawnSpec& spec) {
  const char* output = spec.output.empty() ? "/dev/null" : spec.output.c_str();
  posix_spawn_file_actions_addopen(&actions.files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions.files, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions.files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions.files, 3);
  if (!spec.folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions.files, spec.folder.c_str());
  }
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&actions.attributes, &all);
  posix_spawnattr_setsigmask(&actions.attributes, &none);
  int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  if (spec.own_session) flags |= POSIX_SPAWN_SETSID;
  if (spec.own_group) {
    flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setpgroup(&actions.attributes, 0);
  }
  posix_spawnattr_setflags(&actions.attributes, static_cast<short>(flags));
}

}  // namespace

Result<pid_t> spawn(const SpawnSpec& spec) {
  std::vector<std::string> argv = spec.argv;
  std::vector<std::string> environment = spec.environment;
  std::vector<char*> argv_pointers = pointers(argv);
  std::vector<char*> environment_pointers = pointers(environment);
  Actions actions;
  set_up(actions, spec);
  pid_t child = 0;
  const int code = posix_spawn(&child, argv[0].c_str(), &actions.files, &actions.attributes,
                               argv_pointers.data(), environment_pointers.data());
  if (code != 0) {
    return Error{code == ENOENT ? ErrorKind::not_found : ErrorKind::refused,
                 "starting " + argv[0] + ": " + std::strerror(code)};
  }
  return child;
}

Result<int> wait_for_exit(pid_t child, std::chrono::milliseconds limit) {
  // A descriptor of the process becomes readable when it ends: no polling, no clock.
  // By number: the wrapper of glibc 2.36 has no C linkage when included from C++.
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (fd >= 0) {
    pollfd ended{.fd = fd, .events = POLLIN, .revents = 0};
    int ready = -1;
    do {
      ready = ::poll(&ended, 1, static_cast<int>(limit.count()));
    } while (ready < 0 && errno == EINTR);
    ::close(fd);
  }
  int status = 0;
  const pid_t done = ::waitpid(child, &status, WNOHANG);
  if (done == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (done == 0) {
    return Error{ErrorKind::unreachable, "process " + std::to_string(child) + " still runs"};
  }
  return Error{ErrorKind::not_found, "process " + std::to_string(child) + " is no child of ours"};
}

}  // namespace mayfly
