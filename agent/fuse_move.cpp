#include "agent/fuse_move.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "core/spawn.h"

namespace mayfly {

namespace fs = std::filesystem;

FuseMove::FuseMove(fs::path script) : script_(std::move(script)) {}

void FuseMove::start(std::chrono::seconds left) {
  result_.reset();
  child_.reset();
  std::error_code code;
  if (!fs::exists(script_, code)) {
    result_ =
        Status(Error{ErrorKind::not_found, "this instance has no fuse at " + script_.string()});
    return;
  }
  SpawnSpec spec;
  spec.argv = {"/bin/sh", script_.string(), "move", std::to_string(left.count())};
  for (const char* name : {"PATH", "MAYFLY_ROOT"}) {
    if (const char* value = std::getenv(name)) {
      spec.environment.push_back(std::string(name) + "=" + value);
    }
  }
  const Result<pid_t> started = spawn(spec);
  if (started) {
    child_ = *started;
  } else {
    result_ = Status(started.error());
  }
}

std::optional<Status> FuseMove::take_result() {
  if (child_) {
    const Result<int> ended = wait_for_exit(*child_, std::chrono::milliseconds(0));
    if (!ended && ended.error().kind == ErrorKind::unreachable) return std::nullopt;  // it runs
    child_.reset();
    if (ended && *ended == 0) {
      result_ = Status(Unit{});
    } else {
      result_ = Status(Error{ErrorKind::refused, "the fuse could not be moved"});
    }
  }
  return std::exchange(result_, std::nullopt);
}

fs::path fuse_script() {
  const char* root = std::getenv("MAYFLY_ROOT");
  return fs::path(root == nullptr ? "/" : root) / "opt/mayfly/fuse.sh";
}

}  // namespace mayfly
