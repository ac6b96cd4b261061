// Seeds: every random number of a run is a function of the run's seed and of where it is used, so
// that a resumed run draws what an undisturbed one would have drawn.
#pragma once

#include <cstdint>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

namespace mayfly {

// A seed for purpose number `index` below `seed`. SplitMix64: Steele, Lea and Flood 2014, "Fast
// splittable pseudorandom number generators".
constexpr std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed + 0x9e3779b97f4a7c15u * (index + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A generator of its own, in the state that `seed` makes.
at::Generator seeded_generator(at::Device device, std::uint64_t seed);

}  // namespace mayfly
