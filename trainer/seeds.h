// The run's one seed, and what is drawn from it: each purpose has a stream of its own, so that a
// change of one (a larger adapter) leaves the others (the order of the data) as they were.
#pragma once

#include <cstdint>

#include "trainer/ops/random.h"

namespace mayfly {

inline std::uint64_t data_order_seed(std::uint64_t run_seed) {
  return run_seed;  // as it is: the launcher shows the same order
}
inline std::uint64_t adapter_seed(std::uint64_t run_seed) {
  return derive_seed(run_seed, 1);
}
inline std::uint64_t dropout_seed(std::uint64_t run_seed) {
  return derive_seed(run_seed, 2);
}

}  // namespace mayfly
