#include "agent/trainer_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "core/provider/local_record.h"
#include "core/spawn.h"

namespace mayfly {

namespace {

// The whole of what a trainer gets to know of our environment.
constexpr std::array kInherited = {"PATH",
                                   "HOME",
                                   "LANG",
                                   "LC_ALL",
                                   "TZ",
                                   "TMPDIR",
                                   "LD_LIBRARY_PATH",
                                   "CUDA_VISIBLE_DEVICES",
                                   "CUDA_DEVICE_ORDER",
                                   "OMP_NUM_THREADS",
                                   "PYTORCH_CUDA_ALLOC_CONF",
                                   "MAYFLY_INSTANCE_ID"};

std::vector<std::string> clean_environment(const RunDirectory& run) {
  std::vector<std::string> environment;
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name)) {
      environment.push_back(std::string(name) + "=" + value);
    }
  }
  environment.push_back(std::string(kTrainerVariable) + "=" + run.root.string());
  return environment;
}

}  // namespace

TrainerProcess::TrainerProcess(std::filesystem::path program, RunDirectory run)
    : program_(std::move(program)), run_(std::move(run)) {}

void TrainerProcess::adopt() {
  std::vector<ProcessInfo> found;
  for (const ProcessInfo& process : all_processes()) {
    if (!process.alive() || process.pid == ::getpid()) continue;
    if (process_variable(process.pid, kTrainerVariable).value == run_.root.string() &&
        process.pid == process.group) {
      found.push_back(process);
    }
  }
  if (found.size() == 1) {
    process_ = found[0];
    is_child_ = false;
    log_info("going on with the running trainer  pid=" + std::to_string(found[0].pid));
    return;
  }
  for (const ProcessInfo& process : found) ::kill(-process.group, SIGKILL);
}

Status TrainerProcess::start() {
  SpawnSpec spec;
  spec.argv = {program_.string(), "sft", "--run-dir", run_.root.string()};
  spec.environment = clean_environment(run_);
  spec.folder = run_.root;
  spec.output = run_.trainer_log();
  spec.own_group = true;
  const Result<pid_t> started = spawn(spec);
  if (!started) {
    last_ = {TrainerView::Kind::exited, 127};
    return started.error();
  }
  const auto process = find_process(*started);
  process_ = process ? *process : ProcessInfo{.pid = *started, .group = *started};
  is_child_ = true;
  // When memory runs out, the kernel takes the trainer and not the one who destroys the instance.
  std::ofstream("/proc/" + std::to_string(*started) + "/oom_score_adj") << "500";
  log_info("trainer started  pid=" + std::to_string(*started));
  return Unit{};
}

void TrainerProcess::send(int signal) {
  if (!process_ || view().kind != TrainerView::Kind::running) return;
  ::kill(signal == SIGKILL ? -process_->group : process_->pid, signal);
}

TrainerView TrainerProcess::view() {
  if (!process_) return last_;
  if (is_child_) {
    int status = 0;
    const pid_t done = ::waitpid(process_->pid, &status, WNOHANG);
    if (done == 0) return {TrainerView::Kind::running, {}};
    last_ = {TrainerView::Kind::exited, {}};
    if (done > 0) last_.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  } else {
    // Not our child: it was an earlier agent's. How it ended, only its events can tell.
    const auto now = find_process(process_->pid);
    if (now && now->alive() && now->start_ticks == process_->start_ticks) {
      return {TrainerView::Kind::running, {}};
    }
    last_ = {TrainerView::Kind::exited, {}};
  }
  process_.reset();
  return last_;
}

}  // namespace mayfly
