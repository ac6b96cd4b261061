// CUDA's words for the host's compiler, so that a kernel's own source runs on the CPU, one fiber a
// thread, and is tested where there is no GPU. The machinery is in tests/cuda/emulator/.
//
// Covered: one-dimensional launches, shared memory, block barriers, shuffles, ballots, __syncwarp,
// checked loads and stores. Not covered, so not to be used in a kernel before there is a GPU to
// test it on: atomics, asynchronous copies, tensor cores, clusters, cooperative launches.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "cuda/stream.h"
#include "tests/cuda/emulator/block.h"
#include "tests/cuda/emulator/memory.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(threads)

inline constexpr emulator::Extent& threadIdx = emulator::position.thread;
inline constexpr emulator::Extent& blockIdx = emulator::position.block;
inline constexpr emulator::Extent& blockDim = emulator::position.block_size;
inline constexpr emulator::Extent& gridDim = emulator::position.grid_size;

inline void __syncthreads(emulator::Site at = emulator::Site::current()) {
  emulator::block_barrier(at);
}
inline void __syncwarp(std::uint32_t mask = 0xffffffffu,
                       emulator::Site at = emulator::Site::current()) {
  emulator::warp_barrier(mask, at);
}
inline std::uint32_t __ballot_sync(std::uint32_t mask, int vote,
                                   emulator::Site at = emulator::Site::current()) {
  return emulator::ballot(mask, vote != 0, at);
}

namespace emulator {

template <class T>
T shuffle_value(std::uint32_t mask, T value, unsigned source, Site at) {
  static_assert(sizeof(T) == 4, "the shuffles that kernels here use");
  return std::bit_cast<T>(
      static_cast<std::uint32_t>(shuffle(mask, std::bit_cast<std::uint32_t>(value), source, at)));
}

}  // namespace emulator

template <class T>
T __shfl_sync(std::uint32_t mask, T value, int lane,
              emulator::Site at = emulator::Site::current()) {
  return emulator::shuffle_value(mask, value, static_cast<unsigned>(lane) % emulator::kWarp, at);
}
template <class T>
T __shfl_xor_sync(std::uint32_t mask, T value, int lane_mask,
                  emulator::Site at = emulator::Site::current()) {
  const unsigned lane = threadIdx.x % emulator::kWarp;
  return emulator::shuffle_value(mask, value, lane ^ static_cast<unsigned>(lane_mask), at);
}

// The device's is right to two units in the last place; this one to one.
inline float rsqrtf(float value) {
  return 1.0f / std::sqrt(value);
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}

namespace emulator {

// An element of shared memory. Reading one that nobody has written is a fault.
template <class T>
class SharedElement {
 public:
  SharedElement(T* value, std::uint8_t* written) : value_(value), written_(written) {}
  operator T() const {
    if (*written_ == 0) fail("reads an element of shared memory that nobody has written");
    return *value_;
  }
  SharedElement& operator=(T value) {
    *value_ = value;
    *written_ = 1;
    return *this;
  }
  SharedElement& operator=(const SharedElement& other) {
    return *this = static_cast<T>(other);
  }

 private:
  T* value_;
  std::uint8_t* written_;
};

}  // namespace emulator

namespace mayfly::cuda {

// As in cuda/launch.cuh.
template <class T, int n>
class Shared {
 public:
  Shared() {
    region_.element_bytes = sizeof(T);
    region_.count = n;
    emulator::add_shared_region(&region_);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  emulator::SharedElement<T> operator[](int i) {
    if (i < 0 || i >= n) {
      emulator::fail("element " + std::to_string(i) + " of shared memory of " + std::to_string(n));
    }
    return {reinterpret_cast<T*>(region_.data) + i, region_.written + i};
  }

 private:
  emulator::SharedRegion region_;
};

template <class T, int n>
struct alignas(sizeof(T) * n) Pack {
  T at[n];
};

template <int n = 1, class T>
Pack<T, n> load(const T* from, emulator::Site at = emulator::Site::current()) {
  const void* real = emulator::check_global(from, sizeof(T) * n, emulator::Access::read, at);
  return *static_cast<const Pack<T, n>*>(real);
}

template <class T, int n>
void store(T* to, Pack<T, n> value, emulator::Site at = emulator::Site::current()) {
  void* real = emulator::check_global(to, sizeof(T) * n, emulator::Access::write, at);
  *static_cast<Pack<T, n>*>(real) = value;
}

template <class... P, class... A>
Error launch(void (*kernel)(P...), std::int64_t blocks, int threads, Stream, A... args) {
  if (blocks > kMostBlocks) return kInvalidValue;
  auto call = [kernel, args = std::tuple<P...>(static_cast<P>(args)...)] {
    std::apply(kernel, args);
  };
  emulator::run(
      static_cast<unsigned>(blocks), static_cast<unsigned>(threads),
      [](void* argument) { (*static_cast<decltype(call)*>(argument))(); }, &call);
  return kSuccess;
}

}  // namespace mayfly::cuda
