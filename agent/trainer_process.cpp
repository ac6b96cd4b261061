#include "agent/trainer_process.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

#include "agent/runtime_install.h"
#include "core/atomic_file.h"
#include "core/log.h"
#include "core/provider/local_record.h"
#include "core/spawn.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

// In memory, and where the unit of the trainer expects the run directory.
constexpr const char* kTrainerLink = "/run/mayfly/run";

// The whole of what a trainer gets to know of our environment.
constexpr std::array kInherited = {"PATH",
                                   "HOME",
                                   "LANG",
                                   "LC_ALL",
                                   "TZ",
                                   "TMPDIR",
                                   "CUDA_VISIBLE_DEVICES",
                                   "CUDA_DEVICE_ORDER",
                                   "OMP_NUM_THREADS",
                                   "PYTORCH_CUDA_ALLOC_CONF",
                                   "MAYFLY_INSTANCE_ID"};

// Libraries that the agent installed come first; where it installed none, nothing changes.
std::string library_path() {
  const char* const inherited = std::getenv("LD_LIBRARY_PATH");
  std::string path = inherited == nullptr ? "" : inherited;
  const fs::path installed = runtime_library_folder();
  std::error_code code;
  if (fs::exists(installed, code)) path = installed.string() + (path.empty() ? "" : ":" + path);
  return path;
}

std::vector<std::string> clean_environment(const RunDirectory& run) {
  std::vector<std::string> environment;
  for (const char* name : kInherited) {
    if (const char* value = std::getenv(name)) {
      environment.push_back(std::string(name) + "=" + value);
    }
  }
  if (const std::string path = library_path(); !path.empty()) {
    environment.push_back("LD_LIBRARY_PATH=" + path);
  }
  environment.push_back(std::string(kTrainerVariable) + "=" + run.root.string());
  return environment;
}

// What `systemctl` prints. It talks to the first process of the machine, so seconds are long.
Result<std::string> ask_systemd(std::vector<std::string> words) {
  const fs::path answer = fs::path(kTrainerLink).parent_path() / "systemctl.out";
  std::error_code ignored;
  fs::remove(answer, ignored);
  SpawnSpec spec;
  spec.argv = {"/usr/bin/systemctl"};
  spec.argv.insert(spec.argv.end(), words.begin(), words.end());
  spec.output = answer;
  const Result<pid_t> asked = spawn(spec);
  if (!asked) return asked.error();
  const Result<int> code = wait_for_exit(*asked, std::chrono::seconds(20));
  if (!code) {
    ::kill(*asked, SIGKILL);
    return code.error();
  }
  Result<std::string> text = read_file(answer);
  if (*code != 0) {
    return Error{ErrorKind::refused, "systemctl " + words[0] + ": " + (text ? *text : "")};
  }
  return text;
}

// How many processes the kernel has killed because memory ran out, in a group's limit or
// everywhere: the line `oom_kill` of /proc/vmstat (since Linux 4.13). 0 where it has none.
std::int64_t kernel_kills() {
  std::ifstream counters("/proc/vmstat");
  std::string name;
  std::int64_t count = 0;
  while (counters >> name >> count) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

}  // namespace

TrainerProcess::TrainerProcess(std::filesystem::path program, RunDirectory run, std::string unit)
    : program_(std::move(program)), run_(std::move(run)), unit_(std::move(unit)) {}

void TrainerProcess::adopt() {
  kernel_kills_before_ = kernel_kills();
  if (!unit_.empty()) {
    process_ = process_of_unit();
    if (process_) {
      log_info("going on with the running trainer  pid=" + std::to_string(process_->pid));
    }
    return;
  }
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
  kernel_kills_before_ = kernel_kills();
  was_killed_here_ = false;
  if (!unit_.empty()) return start_unit();
  SpawnSpec spec;
  spec.argv = {program_.string(), "sft", "--run-dir", run_.root.string()};
  spec.environment = clean_environment(run_);
  spec.folder = run_.root;
  spec.output = run_.trainer_log();
  spec.own_group = true;
  const Result<pid_t> started = spawn(spec);
  if (!started) {
    note_end(127);
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
  if (signal == SIGKILL) was_killed_here_ = true;
  ::kill(signal == SIGKILL ? -process_->group : process_->pid, signal);
}

void TrainerProcess::note_end(std::optional<int> code) {
  const bool is_killed = code == 128 + SIGKILL && !was_killed_here_;
  last_ = {TrainerView::Kind::exited, code, is_killed && kernel_kills() > kernel_kills_before_};
}

TrainerView TrainerProcess::view() {
  if (!process_) return last_;
  if (is_child_) {
    int status = 0;
    const pid_t done = ::waitpid(process_->pid, &status, WNOHANG);
    if (done == 0) return {TrainerView::Kind::running, {}};
    std::optional<int> code;
    if (done > 0) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    note_end(code);
  } else {
    // Not our child: it was an earlier agent's. How it ended, only its events can tell.
    const auto now = find_process(process_->pid);
    if (now && now->alive() && now->start_ticks == process_->start_ticks) {
      return {TrainerView::Kind::running, {}};
    }
    note_end(unit_.empty() ? std::nullopt : code_of_unit());
  }
  process_.reset();
  return last_;
}

Status TrainerProcess::start_unit() {
  // The unit's text is fixed; this link is how it gets to know the run directory.
  const fs::path link = kTrainerLink;
  const fs::path fresh = link.string() + ".new";
  std::error_code code;
  fs::remove(fresh, code);
  fs::create_directory_symlink(run_.root, fresh, code);
  if (!code) fs::rename(fresh, link, code);
  const Result<std::string> started =
      code ? Result<std::string>(Error{ErrorKind::refused, "linking " + link.string()})
           : ask_systemd({"start", unit_});
  process_ = started ? process_of_unit() : std::nullopt;
  if (process_) {
    log_info("trainer started  pid=" + std::to_string(process_->pid));
  } else {
    note_end(started ? code_of_unit() : 127);  // over already, or never
  }
  if (!started) return started.error();
  return Unit{};
}

std::optional<ProcessInfo> TrainerProcess::process_of_unit() const {
  const Result<std::string> text = ask_systemd({"show", "--property=MainPID", "--value", unit_});
  const int pid = text ? std::atoi(text->c_str()) : 0;
  return pid > 0 ? find_process(pid) : std::nullopt;
}

std::optional<int> TrainerProcess::code_of_unit() const {
  const Result<std::string> text =
      ask_systemd({"show", "--property=ExecMainCode,ExecMainStatus", "--value", unit_});
  int how = 0;
  int value = 0;
  if (!text || std::sscanf(text->c_str(), "%d %d", &how, &value) != 2) return std::nullopt;
  if (how == CLD_EXITED) return value;
  if (how == CLD_KILLED || how == CLD_DUMPED) return 128 + value;
  return std::nullopt;
}

}  // namespace mayfly
