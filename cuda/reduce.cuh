// Sums over a warp and over a block. Every thread of the block must call them, and every thread
// gets the sum. The order of additions is fixed, so the same input gives the same bits.
#pragma once

#include "cuda/launch.cuh"

namespace mayfly::cuda {

constexpr int kWarp = 32;

__device__ inline float warp_sum(float value) {
  for (int lane_mask = kWarp / 2; lane_mask > 0; lane_mask /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, lane_mask);
  }
  return value;
}

// `partial` is shared memory for one float a warp. The block is a whole number of warps, at
// most 32.
__device__ inline float block_sum(float value, float* partial) {
  const int thread = static_cast<int>(threadIdx.x);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = warp_sum(value);
  __syncthreads();  // `partial` may still be read by the sum before this one
  if (thread % kWarp == 0) partial[thread / kWarp] = value;
  __syncthreads();
  float sum = 0.0f;
  for (int w = 0; w < warps; ++w) sum += partial[w];  // broadcast reads: no bank conflicts
  return sum;
}

}  // namespace mayfly::cuda
