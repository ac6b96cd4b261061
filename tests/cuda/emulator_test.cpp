// An emulator that lets a faulty kernel pass would be worse than none. So: right kernels give right
// sums, and the two classic faults - a barrier that not all threads reach, a barrier left out
// before shared memory is used again - do not go unnoticed.
#include "tests/cuda/emulator.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "cuda/reduce.cuh"

namespace mayfly::cuda {
namespace {

// sums[b] = the sum over the block's threads of (thread + 1) * (block + 1), twice in a row, so that
// the second sum uses the shared memory of the first again.
void sum_kernel(float* sums) {
  __shared__ float partial[32];
  const float mine = static_cast<float>((threadIdx.x + 1) * (blockIdx.x + 1));
  const float once = block_sum(mine, partial);
  const float twice = block_sum(2.0f * mine, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = once + twice;
}

class BlockSumTest : public testing::TestWithParam<int> {};

TEST_P(BlockSumTest, AddsUpEveryThreadOfEveryBlock) {
  const int threads = GetParam();
  float sums[3] = {};
  ASSERT_EQ(launch(sum_kernel, 3, threads, nullptr, sums), cudaSuccess);
  for (int block = 0; block < 3; ++block) {
    // Whole numbers below 2^24: exact in float.
    EXPECT_EQ(sums[block], static_cast<float>(3 * (block + 1) * threads * (threads + 1) / 2));
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, BlockSumTest, testing::Values(32, 64, 256, 1024));

void waits_at_two_places(float* value) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    *value = __shfl_xor_sync(0xffffffffu, 0.0f, 2);
  }
}

TEST(EmulatorTest, RefusesThreadsThatWaitAtDifferentBarriers) {
  float value = 0.0f;
  EXPECT_THROW(launch(waits_at_two_places, 1, 64, nullptr, &value), std::logic_error);
}

// The block sum without its first barrier: a fast warp overwrites what a slow one still reads.
void careless_kernel(float* sums) {
  __shared__ float partial[32];
  float total = 0.0f;
  for (int round = 1; round <= 2; ++round) {
    const float mine = warp_sum(static_cast<float>(round));
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = mine;
    __syncthreads();
    for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) total += partial[warp];
  }
  sums[threadIdx.x] = total;
}

TEST(EmulatorTest, NoticesAMissingBarrierBeforeSharedMemoryIsUsedAgain) {
  constexpr int kThreads = 256;
  float sums[kThreads] = {};
  ASSERT_EQ(launch(careless_kernel, 1, kThreads, nullptr, sums), cudaSuccess);
  int wrong = 0;
  for (const float sum : sums) wrong += sum != 3.0f * kThreads;
  EXPECT_GT(wrong, 0);
}

}  // namespace
}  // namespace mayfly::cuda
