// Runs a CUDA kernel on the CPU, one fiber a thread, so that the kernel's own source is tested
// where there is no GPU. Covers one-dimensional launches, __shared__, __syncthreads and
// __shfl_xor_sync. Not thread-safe: one launch at a time.
//
// Order: one warp runs as far as its next block barrier before another starts, warps in a seeded
// random order. In lockstep, a barrier missing before shared memory is reused goes unnoticed.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include <ucontext.h>

#define __global__
#define __device__
#define __shared__ static

using cudaError_t = int;
using cudaStream_t = void*;
constexpr cudaError_t cudaSuccess = 0;
struct Extent {
  unsigned x = 0;
};
inline Extent threadIdx, blockIdx, blockDim, gridDim;
inline float rsqrtf(float value) {
  return 1.0f / std::sqrt(value);
}

namespace emulator {

enum class Wait { nothing, warp, block, done };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  Wait wait = Wait::nothing;
};

constexpr unsigned kWarp = 32;
constexpr std::size_t kStackBytes = 64 * 1024;

inline ucontext_t scheduler;
inline std::vector<Fiber> fibers;
inline std::vector<float> exchanged;  // one slot a thread, for warp shuffles
inline unsigned current = 0;
inline std::function<void()> kernel_call;
inline std::mt19937 order(1);

inline void pause(Wait wait) {
  Fiber& me = fibers[current];
  me.wait = wait;
  swapcontext(&me.context, &scheduler);
}

inline void enter() {
  kernel_call();
  pause(Wait::done);
}

// Lets threads [first, last) go on if all that are not done wait for the same `barrier`.
inline bool release(unsigned first, unsigned last, Wait barrier) {
  bool waiting = false;
  for (unsigned i = first; i < last; ++i) {
    if (fibers[i].wait == Wait::done) continue;
    if (fibers[i].wait != barrier) return false;
    waiting = true;
  }
  for (unsigned i = first; i < last && waiting; ++i) {
    if (fibers[i].wait == barrier) fibers[i].wait = Wait::nothing;
  }
  return waiting;
}

inline void run_warp(unsigned first, unsigned last) {
  do {
    for (unsigned i = first; i < last; ++i) {
      if (fibers[i].wait != Wait::nothing) continue;
      current = threadIdx.x = i;
      swapcontext(&scheduler, &fibers[i].context);
    }
  } while (release(first, last, Wait::warp));
}

inline void run_block(unsigned threads) {
  fibers = std::vector<Fiber>(threads);
  exchanged.assign(threads, 0.0f);
  for (Fiber& fiber : fibers) {
    fiber.stack = std::make_unique<char[]>(kStackBytes);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    makecontext(&fiber.context, enter, 0);
  }
  std::vector<unsigned> warps;
  for (unsigned first = 0; first < threads; first += kWarp) warps.push_back(first);
  do {
    std::shuffle(warps.begin(), warps.end(), order);
    for (unsigned first : warps) run_warp(first, std::min(first + kWarp, threads));
  } while (release(0, threads, Wait::block));
  for (const Fiber& fiber : fibers) {
    if (fiber.wait != Wait::done) throw std::logic_error("threads wait at different barriers");
  }
}

}  // namespace emulator

inline void __syncthreads() {
  emulator::pause(emulator::Wait::block);
}

inline float __shfl_xor_sync(unsigned, float value, int lane_mask) {
  const unsigned me = emulator::current;
  emulator::exchanged[me] = value;
  emulator::pause(emulator::Wait::warp);
  const float received = emulator::exchanged[me ^ static_cast<unsigned>(lane_mask)];
  emulator::pause(emulator::Wait::warp);
  return received;
}

namespace mayfly::cuda {

template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), int blocks, int threads, cudaStream_t, A... args) {
  gridDim.x = static_cast<unsigned>(blocks);
  blockDim.x = static_cast<unsigned>(threads);
  emulator::kernel_call = [&] { kernel(static_cast<P>(args)...); };
  for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) emulator::run_block(blockDim.x);
  return cudaSuccess;
}

}  // namespace mayfly::cuda
