#include "trainer/ops/random.h"

#include <ATen/Context.h>

namespace mayfly {

at::Generator seeded_generator(at::Device device, std::uint64_t seed) {
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

}  // namespace mayfly
