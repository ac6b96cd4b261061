// Sums and greatest values over a warp and over a block. Every thread must call them, and every
// thread gets the result. The order of additions is fixed, so the same input gives the same bits.
#pragma once

#include "cuda/launch.cuh"

namespace mayfly::cuda {

inline constexpr int kWarp = 32;
inline constexpr int kMostThreads = 1024;
inline constexpr unsigned kWholeWarp = 0xffffffffu;

__device__ inline float warp_sum(float value) {
  for (int lane_mask = kWarp / 2; lane_mask > 0; lane_mask /= 2) {
    value = __fadd_rn(value, __shfl_xor_sync(kWholeWarp, value, lane_mask));
  }
  return value;
}

__device__ inline float warp_max(float value) {
  for (int lane_mask = kWarp / 2; lane_mask > 0; lane_mask /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kWholeWarp, value, lane_mask));
  }
  return value;
}

// One slot a warp. A block is a whole number of warps, at most 32.
using Partials = Shared<float, kMostThreads / kWarp>;

// Two barriers: `partials` may still be read by the sum before this one.
__device__ inline float block_sum(float value, Partials& partials) {
  const int thread = static_cast<int>(threadIdx.x);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = warp_sum(value);
  __syncthreads();
  if (thread % kWarp == 0) partials[thread / kWarp] = value;
  __syncthreads();
  // Every warp adds up the slots itself, in one order; broadcast reads have no bank conflicts.
  float sum = partials[0];
  for (int warp = 1; warp < warps; ++warp) sum = __fadd_rn(sum, partials[warp]);
  return sum;
}

__device__ inline float block_max(float value, Partials& partials) {
  const int thread = static_cast<int>(threadIdx.x);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = warp_max(value);
  __syncthreads();
  if (thread % kWarp == 0) partials[thread / kWarp] = value;
  __syncthreads();
  float greatest = partials[0];
  for (int warp = 1; warp < warps; ++warp) greatest = fmaxf(greatest, partials[warp]);
  return greatest;
}

}  // namespace mayfly::cuda
