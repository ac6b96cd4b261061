// Races between the threads of a kernel, found by ThreadSanitizer, to which the emulator declares
// every CUDA thread as a thread: barriers order them, shuffles and the end of another block do not.
// Planted races first, since a detector that nobody has seen fire proves nothing; then the kernels.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cuda/reduce.cuh"
#include "tests/cuda/cases/kernel_case.h"
#include "tests/cuda/device_array.h"
#include "tests/cuda/emulator/fiber.h"

#ifdef __SANITIZE_THREAD__
// The planted races must not end the program, and each test is to see its own.
extern "C" const char* __tsan_default_options() {
  return "exitcode=0:suppress_equal_stacks=0:suppress_equal_addresses=0";
}
constexpr bool kWatched = true;
#else
constexpr bool kWatched = false;
#endif

namespace mayfly::cuda {
namespace {

class RaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kWatched) GTEST_SKIP() << "built without ThreadSanitizer";
    before_ = emulator::race_reports();
  }
  int reports() const {
    return emulator::race_reports() - before_;
  }

 private:
  int before_ = 0;
};

Pack<float, 1> one(float value) {
  return {{value}};
}

// Each thread reads what another warp wrote, twice through the same slots.
void exchange(float* to, bool second_barrier) {
  __shared__ Shared<float, 64> slots;
  const int thread = static_cast<int>(threadIdx.x);
  float sum = 0.0f;
  for (int round = 0; round < 2; ++round) {
    slots[thread] = static_cast<float>(thread + round);
    __syncthreads();
    sum += slots[63 - thread];
    if (second_barrier) __syncthreads();
  }
  store(to + blockIdx.x * 64 + threadIdx.x, one(sum));
}

void exchange_without_barriers(float* to) {
  __shared__ Shared<float, 64> slots;
  const int thread = static_cast<int>(threadIdx.x);
  slots[thread] = 1.0f;
  if (thread >= 32) store(to + thread, one(slots[63 - thread]));
}

TEST_F(RaceTest, FindsAMissingBarrier) {
  DeviceArray<float> to(64);
  launch(exchange_without_barriers, 1, 64, nullptr, to.data());
  EXPECT_GT(reports(), 0);
}

// Run warp after warp this one gives the right numbers; only the order that a GPU may choose
// another day is wrong.
TEST_F(RaceTest, FindsAMissingBarrierBeforeMemoryIsUsedAgain) {
  DeviceArray<float> to(64);
  launch(exchange, 1, 64, nullptr, to.data(), false);
  EXPECT_GT(reports(), 0);
}

TEST_F(RaceTest, AcceptsTheBarriers) {
  DeviceArray<float> to(4 * 64);
  launch(exchange, 4, 64, nullptr, to.data(), true);
  EXPECT_EQ(reports(), 0);
}

void exchange_in_a_warp(float* to, bool barrier) {
  __shared__ Shared<float, 32> slots;
  const int thread = static_cast<int>(threadIdx.x);
  slots[thread] = 1.0f;
  if (barrier) __syncwarp();
  float value = 0.0f;
  if (barrier || thread > 15) value = slots[31 - thread];
  store(to + thread, one(value));
}

TEST_F(RaceTest, FindsAMissingSyncwarpAndAcceptsOne) {
  DeviceArray<float> to(32);
  launch(exchange_in_a_warp, 1, 32, nullptr, to.data(), true);
  ASSERT_EQ(reports(), 0);
  launch(exchange_in_a_warp, 1, 32, nullptr, to.data(), false);
  EXPECT_GT(reports(), 0);
}

void write_one_word(float* to, bool own) {
  store(to + (own ? blockIdx.x : 0), one(1.0f));
}

TEST_F(RaceTest, FindsTwoBlocksThatWriteOneWord) {
  DeviceArray<float> to(4);
  launch(write_one_word, 4, 1, nullptr, to.data(), true);
  ASSERT_EQ(reports(), 0);
  launch(write_one_word, 4, 1, nullptr, to.data(), false);
  EXPECT_GT(reports(), 0);
}

void add_one(float* to) {
  store(to + threadIdx.x, one(load(to + threadIdx.x).at[0] + 1.0f));
}

TEST_F(RaceTest, OrdersLaunches) {
  DeviceArray<float> to(std::vector<float>(64, 0.0f));
  for (int i = 0; i < 3; ++i) launch(add_one, 1, 64, nullptr, to.data());
  EXPECT_EQ(reports(), 0);
  EXPECT_EQ(to.read()[63], 3.0f);
}

// ---- the kernels

// One at a time: ThreadSanitizer keeps what it mapped for a thread, and a process has 65,530 maps.
class KernelRaceTest : public RaceTest, public testing::WithParamInterface<std::string> {};

TEST_P(KernelRaceTest, FindsNone) {
  for (const KernelCase& one : kernel_cases(Size::few)) {
    if (one.kernel != GetParam()) continue;
    ASSERT_EQ(one.launch(nullptr), kSuccess);
    EXPECT_EQ(reports(), 0);
    return;
  }
  FAIL() << "no such kernel";
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const KernelCase& one : kernel_cases(Size::few)) names.push_back(one.kernel);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Kernels, KernelRaceTest, testing::ValuesIn(kernel_names()),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace mayfly::cuda
