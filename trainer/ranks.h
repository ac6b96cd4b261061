// The processes that train one adapter together. Each has the whole model and computes its share of
// the micro-batches of every step; their gradients are added up, and each makes the same update. So
// the result is that of one process with the same effective batch size, up to the order of
// additions.
//
// By libtorch's process group Gloo, over TCP, from the processors' memory; a GPU's gradient is
// copied there, which for an adapter is little. Not built: NCCL.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <ATen/core/Tensor.h>

#include "core/result.h"

namespace mayfly {

// One process's place among them, under the names of torchrun's variables.
struct RankPlace {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // on its machine: the number of its GPU
  std::string master_addr;
  int master_port = 0;  // rank 0 listens here; 0: any free port
};

// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of the environment; nullopt: RANK and
// WORLD_SIZE are not set. Error: invalid_config, naming the one that is missing or makes no sense.
Result<std::optional<RankPlace>> rank_place();

// Thrown by the calls that wait for all.
struct RankLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Ranks {
 public:
  // One process alone: everything below does nothing.
  Ranks();
  Ranks(Ranks&&) noexcept;
  Ranks& operator=(Ranks&&) noexcept;
  ~Ranks();

  // Waits for the others. `limit`: how long one may keep the others waiting, here and later.
  // Errors: unreachable, when not all came.
  static Result<Ranks> join(const RankPlace& place, std::chrono::seconds limit);
  // Rank 0 of `size`, without waiting for the others: port() is what they are to be told.
  static Result<Ranks> listen(int size, std::chrono::seconds limit);
  int port() const;
  Status wait_for_others();

  int rank() const;
  int size() const;
  int local_rank() const;
  bool is_first() const {
    return rank() == 0;
  }

  // These wait for all, and throw RankLost, naming who did not come, when one is gone or
  // keeps the others waiting for longer than the limit.

  // Adds up a tensor over all ranks, in place; every rank gets the same bits.
  void sum(const at::Tensor& values) const;
  double sum(double value) const;
  std::int64_t sum(std::int64_t value) const;
  bool any(bool value) const;
  // What rank 0 has.
  void take_from_first(const at::Tensor& values) const;
  std::string from_first(const std::string& text) const;
  // After what takes longer on one than on another: reading a model. Waits for half an hour.
  void meet() const;

 private:
  struct Group;
  explicit Ranks(std::unique_ptr<Group> group);

  std::unique_ptr<Group> group_;  // nullptr: alone
};

}  // namespace mayfly
