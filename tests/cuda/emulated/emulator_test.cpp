// An emulator that lets a faulty kernel pass would be worse than none. So each fault that it says
// it finds is planted here, in a kernel as small as it can be, beside one without the fault.
// (Races are planted in tests/cuda/races/.)
#include "tests/cuda/emulator.h"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/reduce.cuh"
#include "tests/cuda/device_array.h"
#include "tests/cuda/emulator/traffic.h"

namespace mayfly::cuda {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kThreads = 256;

// What the emulator says about a launch; empty if nothing.
std::string fault_of(const std::function<void()>& launches) {
  try {
    launches();
  } catch (const emulator::Fault& fault) {
    return fault.what();
  }
  return "";
}

class Seeded {
 public:
  explicit Seeded(std::uint64_t seed) {
    emulator::set_schedule({.seed = seed});
  }
  ~Seeded() {
    emulator::set_schedule({});
  }
};

Pack<float, 1> one(float value) {
  return {{value}};
}

// ---- sums, right and with a barrier removed

// sums[b] = the sum over the block's threads of (thread + 1) * (block + 1), twice in a row, so that
// the second sum uses the shared memory of the first again.
void sum_kernel(float* sums) {
  __shared__ Partials partials;
  const float mine = static_cast<float>((threadIdx.x + 1) * (blockIdx.x + 1));
  const float once = block_sum(mine, partials);
  const float twice = block_sum(2.0f * mine, partials);
  if (threadIdx.x == 0) store(sums + blockIdx.x, one(once + twice));
}

TEST(EmulatorTest, AddsUpEveryThreadOfEveryBlock) {
  for (const int threads : {32, 64, 256, 1024}) {
    for (const std::uint64_t seed : {0, 1, 2, 3}) {
      const Seeded seeded(seed);
      DeviceArray<float> sums(3);
      ASSERT_EQ(launch(sum_kernel, 3, threads, nullptr, sums.data()), kSuccess);
      for (int block = 0; block < 3; ++block) {
        // Whole numbers below 2^24: exact in float.
        EXPECT_EQ(sums.read()[static_cast<std::size_t>(block)],
                  static_cast<float>(3 * (block + 1) * threads * (threads + 1) / 2))
            << "seed " << seed;
      }
    }
  }
}

// Each warp's sum, then all of them, `rounds` times over the same slots. Without the first barrier
// a fast warp overwrites what a slow one still reads; without the second it reads too early.
void careless_kernel(float* sums, bool first_barrier, bool second_barrier) {
  __shared__ Partials partials;
  float total = 0.0f;
  for (int round = 1; round <= 2; ++round) {
    const float mine = warp_sum(static_cast<float>(round));
    if (first_barrier) __syncthreads();
    if (threadIdx.x % 32 == 0) partials[static_cast<int>(threadIdx.x / 32)] = mine;
    if (second_barrier) __syncthreads();
    for (int warp = 0; warp < kThreads / 32; ++warp) total += partials[warp];
  }
  store(sums + threadIdx.x, one(total));
}

int wrong_sums(bool first_barrier, bool second_barrier) {
  DeviceArray<float> sums(kThreads);
  launch(careless_kernel, 1, kThreads, nullptr, sums.data(), first_barrier, second_barrier);
  int wrong = 0;
  for (const float sum : sums.read()) wrong += sum != 3.0f * kThreads;
  return wrong;
}

TEST(EmulatorTest, NoticesAMissingBarrierBeforeSharedMemoryIsUsedAgain) {
  for (const std::uint64_t seed : {0, 1, 2, 3}) {
    const Seeded seeded(seed);
    EXPECT_EQ(wrong_sums(true, true), 0);
    EXPECT_GT(wrong_sums(false, true), 0) << "seed " << seed;
  }
}

TEST(EmulatorTest, NoticesAMissingBarrierBeforeSharedMemoryIsRead) {
  EXPECT_THAT(fault_of([] { wrong_sums(true, false); }), HasSubstr("nobody has written"));
}

// ---- barriers that not everybody reaches

void barrier_for_half(float* value) {
  if (threadIdx.x % 2 == 0) __syncthreads();
  store(value + threadIdx.x, one(1.0f));
}

void two_barriers_on_one_line(float*) {
  // clang-format off
  if (threadIdx.x < 32) __syncthreads(); else __syncthreads();
  // clang-format on
}

void barrier_and_shuffle(float* value) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    store(value, one(__shfl_xor_sync(kWholeWarp, 0.0f, 2)));
  }
}

TEST(EmulatorTest, RefusesABarrierThatNotAllThreadsReach) {
  DeviceArray<float> value(64);
  EXPECT_THAT(fault_of([&] { launch(barrier_for_half, 1, 64, nullptr, value.data()); }),
              AllOf(HasSubstr("__syncthreads at emulator_test.cpp:"), HasSubstr("returned")));
  EXPECT_THAT(fault_of([&] { launch(two_barriers_on_one_line, 1, 64, nullptr, value.data()); }),
              HasSubstr("while others wait at"));
  EXPECT_THAT(fault_of([&] { launch(barrier_and_shuffle, 1, 64, nullptr, value.data()); }),
              HasSubstr("in __syncthreads at"));
}

// ---- operations of a warp

void half_a_warp_with_the_whole_mask(float* value) {
  if (threadIdx.x < 16) store(value + threadIdx.x, one(__shfl_xor_sync(kWholeWarp, 1.0f, 1)));
}

void half_a_warp_with_half_a_mask(float* value) {
  if (threadIdx.x < 16) store(value + threadIdx.x, one(__shfl_xor_sync(0xffffu, 1.0f, 1)));
}

void caller_outside_its_mask(float* value) {
  store(value + threadIdx.x, one(__shfl_xor_sync(0xffffu, 1.0f, 1)));
}

void reads_a_lane_outside_the_mask(float* value) {
  if (threadIdx.x < 16) store(value + threadIdx.x, one(__shfl_xor_sync(0xffffu, 1.0f, 16)));
}

void different_operations(float* value) {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    store(value + threadIdx.x, one(__ballot_sync(kWholeWarp, 1) == kWholeWarp ? 1.0f : 0.0f));
  }
}

void missing_lanes(float* value) {
  store(value + threadIdx.x, one(__shfl_xor_sync(kWholeWarp, 1.0f, 1)));
}

TEST(EmulatorTest, RefusesOperationsOfAWarpThatNotAllOfItsMaskDo) {
  DeviceArray<float> value(64);
  const auto fault = [&](void (*kernel)(float*), int threads) {
    return fault_of([&] { launch(kernel, 1, threads, nullptr, value.data()); });
  };
  EXPECT_EQ(fault(half_a_warp_with_half_a_mask, 32), "");
  // Lane 31 returns while others wait for it, or has returned when they come.
  EXPECT_THAT(fault(half_a_warp_with_the_whole_mask, 32),
              AllOf(HasSubstr("16 threads in a shuffle at"), HasSubstr("16 threads returned")));
  {
    const Seeded seeded(1);
    EXPECT_THAT(fault(half_a_warp_with_the_whole_mask, 32), HasSubstr("returned"));
  }
  EXPECT_THAT(fault(caller_outside_its_mask, 32), HasSubstr("not in its own mask"));
  EXPECT_THAT(fault(reads_a_lane_outside_the_mask, 32), HasSubstr("not in the mask"));
  EXPECT_THAT(fault(different_operations, 32), HasSubstr("__syncwarp at"));
  EXPECT_THAT(fault(missing_lanes, 48), HasSubstr("lane 16 does not exist"));
}

void votes(float* result) {
  const std::uint32_t odd = __ballot_sync(kWholeWarp, threadIdx.x % 2);
  const float third = __shfl_sync(kWholeWarp, static_cast<float>(threadIdx.x), 3);
  store(result + threadIdx.x, one(odd == 0xaaaaaaaau ? third : -1.0f));
}

TEST(EmulatorTest, CountsVotesAndHandsOnValues) {
  DeviceArray<float> result(64);
  launch(votes, 1, 64, nullptr, result.data());
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(result.read()[i], i < 32 ? 3.0f : 35.0f);
}

// ---- memory

void copies(float* to, const float* from, int count, int past) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count + past) store(to + i, load(from + i));  // `past` 0 is right
}

TEST(EmulatorTest, RefusesATailThatIsOffByOne) {
  DeviceArray<float> from(std::vector<float>(100, 1.0f)), to(100);
  const auto copy = [&](int past) {
    return fault_of([&] { launch(copies, 4, 32, nullptr, to.data(), from.data(), 100, past); });
  };
  EXPECT_EQ(copy(0), "");
  EXPECT_EQ(to.read(), from.read());
  EXPECT_THAT(copy(1), AllOf(HasSubstr("load at emulator_test.cpp:"),
                             HasSubstr("4 bytes at offset 400 of a buffer of 400 bytes")));
}

TEST(EmulatorTest, LeavesNoNumberWhereATailIsOneShort) {
  DeviceArray<float> from(std::vector<float>(100, 1.0f)), to(100);
  launch(copies, 4, 32, nullptr, to.data(), from.data(), 100, -1);
  EXPECT_FALSE(std::isnan(to.read()[98]));
  EXPECT_TRUE(std::isnan(to.read()[99]));
}

void loads_a_pack(float* to, const float* from) {
  store(to, load<4>(from));
}

TEST(EmulatorTest, RefusesAPackThatIsNotAligned) {
  DeviceArray<float> from(std::vector<float>(8, 1.0f)), to(4);
  EXPECT_EQ(fault_of([&] { launch(loads_a_pack, 1, 1, nullptr, to.data(), from.data()); }), "");
  EXPECT_THAT(fault_of([&] { launch(loads_a_pack, 1, 1, nullptr, to.data(), from.data() + 1); }),
              HasSubstr("are not aligned"));
}

void reads_without_load(float* to, const float* from) {
  store(to, one(*from));
}

TEST(EmulatorDeathTest, EndsWhenAKernelReadsMemoryPastTheChecks) {
  DeviceArray<float> from(std::vector<float>(1, 1.0f)), to(1);
  EXPECT_DEATH(launch(reads_without_load, 1, 1, nullptr, to.data(), from.data()), "");
}

void reads_what_nobody_wrote(float* to) {
  __shared__ Shared<int, 4> slots;
  if (threadIdx.x < 3) slots[static_cast<int>(threadIdx.x)] = 1;
  __syncthreads();
  store(to + threadIdx.x, one(static_cast<float>(slots[static_cast<int>(threadIdx.x % 4)])));
}

void keeps_from_block_to_block(float* to) {
  __shared__ Shared<float, 1> slot;
  if (blockIdx.x == 0) slot[0] = 1.0f;
  store(to + blockIdx.x, one(slot[0]));
}

void writes_beside_shared_memory(float*) {
  __shared__ Shared<float, 4> slots;
  slots[static_cast<int>(threadIdx.x)] = 1.0f;
}

TEST(EmulatorTest, RefusesSharedMemoryThatNobodyHasWritten) {
  DeviceArray<float> to(32);
  EXPECT_THAT(fault_of([&] { launch(reads_what_nobody_wrote, 1, 4, nullptr, to.data()); }),
              HasSubstr("nobody has written"));
  EXPECT_EQ(fault_of([&] { launch(keeps_from_block_to_block, 1, 1, nullptr, to.data()); }), "");
  EXPECT_THAT(fault_of([&] { launch(keeps_from_block_to_block, 2, 1, nullptr, to.data()); }),
              HasSubstr("thread 0 of block 1: reads an element"));
  EXPECT_EQ(fault_of([&] { launch(writes_beside_shared_memory, 1, 4, nullptr, to.data()); }), "");
  EXPECT_THAT(fault_of([&] { launch(writes_beside_shared_memory, 1, 5, nullptr, to.data()); }),
              HasSubstr("element 4 of shared memory of 4"));
}

// ---- schedules

// The last warp to come wins: right or wrong, the result depends on the order.
void last_one_wins(float* to) {
  store(to, one(static_cast<float>(threadIdx.x)));
}

TEST(EmulatorTest, RunsThreadsInTheOrderThatTheSeedGives) {
  DeviceArray<float> to(1);
  const auto winner = [&](std::uint64_t seed) {
    const Seeded seeded(seed);
    launch(last_one_wins, 1, 256, nullptr, to.data());
    return to.read()[0];
  };
  EXPECT_EQ(winner(0), 255.0f);
  EXPECT_EQ(winner(7), winner(7));
  EXPECT_NE(winner(7), winner(8));
}

TEST(EmulatorTest, CanRunTheLastBlocksAlone) {
  DeviceArray<float> sums(std::vector<float>(3, 0.0f));
  emulator::set_schedule({.first_block = 2});
  launch(sum_kernel, 3, 32, nullptr, sums.data());
  emulator::set_schedule({});
  EXPECT_THAT(sums.read(), testing::ElementsAre(0.0f, 0.0f, testing::Gt(0.0f)));
}

// ---- bytes

void copies_packs(float* to, const float* from, int stride) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  store(to + i * stride, load<4>(from + i * stride));
}

TEST(EmulatorTest, CountsTheSectorsThatAWarpTouches) {
  constexpr int kCount = 2 * 64;
  DeviceArray<float> from(std::vector<float>(kCount * 8, 1.0f)), to(kCount * 8);
  const auto traffic = [&](int stride) {
    emulator::start_traffic();
    launch(copies_packs, 2, 64, nullptr, to.data(), from.data(), stride);
    return emulator::stop_traffic();
  };
  const emulator::Traffic dense = traffic(4);
  EXPECT_EQ(dense.requested, 2u * kCount * 16);
  EXPECT_EQ(dense.sectors, dense.requested);
  EXPECT_EQ(dense.distinct, dense.requested);
  EXPECT_EQ(dense.instructions, 2u * 4);  // a load and a store by each of four warps
  EXPECT_EQ(dense.whole, dense.instructions);
  EXPECT_EQ(dense.launches, 1u);

  const emulator::Traffic wide = traffic(8);  // half of each sector is not asked for
  EXPECT_EQ(wide.requested, dense.requested);
  EXPECT_EQ(wide.sectors, 2 * dense.sectors);
  EXPECT_EQ(wide.distinct, 2 * dense.distinct);
}

void reads_one_number(float* to, const float* from) {
  store(to + blockIdx.x * blockDim.x + threadIdx.x, load(from));
}

TEST(EmulatorTest, CountsWhatIsReadAgainAsSectorsAndNotAsDistinct) {
  DeviceArray<float> from(std::vector<float>(1, 1.0f)), to(256);
  emulator::start_traffic();
  launch(reads_one_number, 4, 64, nullptr, to.data(), from.data());
  const emulator::Traffic traffic = emulator::stop_traffic();
  EXPECT_EQ(traffic.sectors, 256u * 4 + 8 * 32);  // a sector for each of eight warps
  EXPECT_EQ(traffic.distinct, 256u * 4 + 32);
}

}  // namespace
}  // namespace mayfly::cuda
