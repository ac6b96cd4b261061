// Further processes of this program on this machine, one for each rank beside the first
// (train.devices). They end when we do.
#pragma once

#include <vector>

#include <sys/types.h>

#include "core/config/train_config.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "trainer/ranks.h"

namespace mayfly {

class RankProcesses {
 public:
  RankProcesses() = default;
  RankProcesses(RankProcesses&& other) noexcept : children_(std::exchange(other.children_, {})) {}
  RankProcesses& operator=(RankProcesses&&) = delete;
  // Those that are still there are killed.
  ~RankProcesses();

  // Starts `train sft --run-dir` for the ranks from 1, with torchrun's variables; what they say
  // goes to logs/rank-<N>.log. Waits for nothing. Errors: those of spawn.
  static Result<RankProcesses> start(const Ranks& first, const RunDirectory& run);

  // Waits for each to end by itself, half a minute at most. Error: internal, naming one that ended
  // otherwise than with 0.
  Status wait();

 private:
  std::vector<pid_t> children_;  // rank 1 is the first
};

// In such a process, early: it is killed when the first rank ends, however that ends.
void end_with_first_rank();

}  // namespace mayfly
