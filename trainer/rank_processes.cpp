#include "trainer/rank_processes.h"

#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/spawn.h"

namespace mayfly {

namespace {

constexpr const char* kParentVariable = "MAYFLY_FIRST_RANK";
constexpr std::chrono::seconds kEndLimit{30};

std::vector<std::string> rank_environment(const Ranks& first, int rank) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  for (const auto& [name, value] :
       {std::pair{"RANK", std::to_string(rank)}, std::pair{"LOCAL_RANK", std::to_string(rank)},
        std::pair{"WORLD_SIZE", std::to_string(first.size())},
        std::pair{"MASTER_ADDR", std::string("127.0.0.1")},
        std::pair{"MASTER_PORT", std::to_string(first.port())},
        std::pair{kParentVariable, std::to_string(::getpid())}}) {
    environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

}  // namespace

RankProcesses::~RankProcesses() {
  for (const pid_t child : children_) ::kill(child, SIGKILL);
  for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
}

Result<RankProcesses> RankProcesses::start(const Ranks& first, const RunDirectory& run) {
  RankProcesses started;
  for (int rank = 1; rank < first.size(); ++rank) {
    SpawnSpec spec;
    spec.argv = {"/proc/self/exe", "sft", "--run-dir", run.root.string()};
    spec.environment = rank_environment(first, rank);
    spec.output = run.logs() / ("rank-" + std::to_string(rank) + ".log");
    const Result<pid_t> child = spawn(spec);
    if (!child) return child.error();
    started.children_.push_back(*child);
  }
  return started;
}

Status RankProcesses::wait() {
  Status all = Unit{};
  for (std::size_t i = 0; i < children_.size(); ++i) {
    const Result<int> code = wait_for_exit(children_[i], kEndLimit);
    const std::string name = "rank " + std::to_string(i + 1);
    if (!code) {
      if (all) all = Error{ErrorKind::internal, name + " does not end"};
      continue;  // the destructor kills it
    }
    children_[i] = 0;
    if (*code != 0 && all) {
      all = Error{ErrorKind::internal, name + " ended with " + std::to_string(*code),
                  "logs/rank-" + std::to_string(i + 1) + ".log says why"};
    }
  }
  std::erase(children_, 0);
  return all;
}

void end_with_first_rank() {
  const char* const parent = std::getenv(kParentVariable);
  if (parent == nullptr) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::to_string(::getppid()) != parent) std::_Exit(128 + SIGKILL);  // it ended before that
}

}  // namespace mayfly
