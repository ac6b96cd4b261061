// Tells the boot fuse (cloud-init/fuse.sh) that the instance may live longer: `fuse.sh move`, a
// child that takes milliseconds. The fuse itself never moves back.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include <sys/types.h>

#include "core/result.h"

namespace mayfly {

class FuseMove {
 public:
  // `script`: fuse.sh of this instance.
  explicit FuseMove(std::filesystem::path script);

  // From now on, the fuse may wait for `left`. Never waits.
  void start(std::chrono::seconds left);
  // Once, when it is known how that went. Errors: not_found (this instance has no fuse), refused.
  std::optional<Status> take_result();

 private:
  std::filesystem::path script_;
  std::optional<pid_t> child_;
  std::optional<Status> result_;
};

// Where the start-up put the fuse: below MAYFLY_ROOT, if that is set.
std::filesystem::path fuse_script();

}  // namespace mayfly
