// The real `train` program as a child process, with what it wrote on both outputs.
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/atomic_file.h"

namespace mayfly {

class TrainProcess {
 public:
  // Starts it in `folder`. `in_child` runs in the child before the program: limits, environment.
  TrainProcess(const std::filesystem::path& folder, const std::vector<std::string>& arguments,
               const std::function<void()>& in_child = {})
      : out_(folder / "stdout.txt"), err_(folder / "stderr.txt") {
    std::vector<std::string> words = {MAYFLY_BINARY_DIR "/train"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    redirect(out_, STDOUT_FILENO);
    redirect(err_, STDERR_FILENO);
    if (::chdir(folder.c_str()) != 0) ::_exit(126);
    for (const char* name : {"FORCE_RUN_NAME", "FORCE_RUN_INDEX", "HF_TOKEN"}) ::unsetenv(name);
    if (in_child) in_child();
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~TrainProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  TrainProcess(const TrainProcess&) = delete;
  TrainProcess& operator=(const TrainProcess&) = delete;

  // Environment variables it runs with, one after the other.
  std::string environment() const {
    return *read_file("/proc/" + std::to_string(pid_) + "/environ");
  }
  void signal(int number) const {
    ::kill(pid_, number);
  }
  // The exit code, or minus the signal that ended it.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  bool running() {
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid == 0;
  }
  // Until `condition` holds or the process has ended; false: it ended first.
  bool wait_until(const std::function<bool()>& condition) {
    while (!condition()) {
      if (!running()) return condition();
      std::this_thread::sleep_for(std::chrono::milliseconds(4));
    }
    return true;
  }
  std::string out() const {
    return *read_file(out_);
  }
  std::string err() const {
    return *read_file(err_);
  }

 private:
  static void redirect(const std::filesystem::path& path, int descriptor) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(file, descriptor);
    ::close(file);
  }

  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
};

}  // namespace mayfly
