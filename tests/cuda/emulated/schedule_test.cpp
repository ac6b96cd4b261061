// A result that depends on the order in which warps run is wrong on some GPU on some day. Every
// kernel gives the same bits under every order tried; and on tensors of more than 2^31 elements,
// where an index of 32 bits would wrap, the last block does what the first does.
#include <gtest/gtest.h>

#include "cuda/cross_entropy.h"
#include "cuda/glu.h"
#include "cuda/nf4.h"
#include "cuda/rms_norm.h"
#include "cuda/rope.h"
#include "tests/cuda/arrays.h"
#include "tests/cuda/cases/kernel_case.h"
#include "tests/cuda/device_array.h"
#include "tests/cuda/emulator/block.h"

namespace mayfly::cuda {
namespace {

class ScheduleTest : public testing::Test {
 protected:
  void TearDown() override {
    emulator::set_schedule({});
  }
};

std::vector<std::vector<std::byte>> outputs(std::uint64_t seed) {
  emulator::set_schedule({.seed = seed});
  std::vector<std::vector<std::byte>> all;
  for (const KernelCase& one : kernel_cases(Size::few)) {
    EXPECT_EQ(one.launch(nullptr), kSuccess) << one.kernel;
    all.push_back(one.output());
  }
  return all;
}

TEST_F(ScheduleTest, GivesTheSameBitsInEveryOrder) {
  const auto in_order = outputs(0);
  const std::vector<KernelCase> cases = kernel_cases(Size::few);
  for (const std::uint64_t seed : {1, 2, 3}) {
    const auto shuffled = outputs(seed);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      EXPECT_EQ(shuffled[i], in_order[i])
          << cases[i].kernel << " " << cases[i].type << " seed " << seed;
    }
  }
}

// ---- more than 2^31 elements: memory that is mapped and not there, its last block alone

constexpr std::int64_t kCols = 4096;
constexpr std::int64_t kRows = (std::int64_t{1} << 31) / kCols + 2;
constexpr std::int64_t kLast = (kRows - 1) * kCols;  // where the last row begins

class HugeTest : public ScheduleTest {
 protected:
  void only_the_last_row() {
    emulator::set_schedule({.first_block = static_cast<unsigned>(kRows - 1)});
  }
  static DeviceArray<Bf16> huge() {
    return DeviceArray<Bf16>(static_cast<std::size_t>(kRows * kCols));
  }
  static void put(const DeviceArray<Bf16>& array, const std::vector<Bf16>& row) {
    upload(array.data() + kLast, row.data(), row.size() * sizeof(Bf16));
  }
  static std::vector<Bf16> get(const DeviceArray<Bf16>& array) {
    std::vector<Bf16> row(kCols);
    download(row.data(), array.data() + kLast, row.size() * sizeof(Bf16));
    return row;
  }
};

TEST_F(HugeTest, RmsNormReachesTheLastRow) {
  const auto x = random_numbers<Bf16>(kCols, 1), weight = random_numbers<Bf16>(kCols, 2);
  const auto x_there = huge(), y = huge();
  const DeviceArray<Bf16> weight_there(weight);
  put(x_there, x);
  only_the_last_row();
  ASSERT_EQ(rms_norm<Bf16>(y.data(), nullptr, x_there.data(), nullptr, weight_there.data(),
                           {.rows = kRows, .cols = kCols}, nullptr),
            kSuccess);
  std::vector<double> want(kCols), s(kCols);
  rms_norm_reference<Bf16>(want.data(), s.data(), x.data(), nullptr, weight.data(),
                           {.rows = 1, .cols = kCols});
  EXPECT_LE(excess(get(y), want, 3.2, 4e-6), 1.0);
}

TEST_F(HugeTest, GluReachesTheLastRow) {
  const auto e = random_numbers<Bf16>(kCols, 1), g = random_numbers<Bf16>(kCols, 2);
  const auto e_there = huge(), g_there = huge(), h = huge();
  put(e_there, e);
  put(g_there, g);
  only_the_last_row();
  const GluForm form{.rows = kRows, .cols = kCols, .stride = kCols};
  ASSERT_EQ(glu<Bf16>(h.data(), e_there.data(), g_there.data(), form, nullptr), kSuccess);
  std::vector<double> want(kCols);
  glu_reference<Bf16>(want.data(), e.data(), g.data(), {.rows = 1, .cols = kCols});
  EXPECT_LE(excess(get(h), want, 3.2, 4e-6), 1.0);
}

TEST_F(HugeTest, CrossEntropyReachesTheLastRow) {
  const auto row = random_numbers<Bf16>(kCols, 1);
  const auto logits = huge();
  put(logits, row);
  const DeviceArray<std::int64_t> targets(std::vector<std::int64_t>(kRows, 5));
  const DeviceArray<float> loss(static_cast<std::size_t>(kRows));
  only_the_last_row();
  ASSERT_EQ(cross_entropy<Bf16>(loss.data(), logits.data(), targets.data(),
                                {.rows = kRows, .cols = kCols, .stride = kCols}, nullptr),
            kSuccess);
  double loss_want = 0.0;
  std::vector<double> want(kCols);
  const std::int64_t target = 5;
  cross_entropy_reference<Bf16>(&loss_want, want.data(), row.data(), &target,
                                {.rows = 1, .cols = kCols});
  EXPECT_LE(excess(get(logits), want, 1.1, 3e-6), 1.0);
}

TEST_F(HugeTest, RopeReachesTheLastToken) {
  const auto x = random_numbers<Bf16>(kCols, 1);
  const auto q = huge();
  put(q, x);
  const DeviceArray<Bf16> k(random_numbers<Bf16>(64, 2));
  const auto cosine = random_numbers<Bf16>(64, 3), sine = random_numbers<Bf16>(64, 4);
  const DeviceArray<Bf16> cosine_there(cosine), sine_there(sine);
  const DeviceArray<std::int32_t> positions(std::vector<std::int32_t>(kRows, 0));
  only_the_last_row();
  RopeForm form{
      .tokens = kRows, .q_heads = 32, .k_heads = 0, .width = 128, .q_stride = kCols, .k_stride = 0};
  ASSERT_EQ(rope<Bf16>(q.data(), k.data(),
                       {cosine_there.data(), sine_there.data(), positions.data()}, form, nullptr),
            kSuccess);
  form.tokens = 1;
  std::vector<double> want(kCols);
  rope_reference<Bf16>(want.data(), x.data(), {cosine.data(), sine.data(), nullptr}, 32, form);
  EXPECT_LE(excess(get(q), want, 1.01, 1e-6), 1.0);
}

TEST_F(HugeTest, Nf4ReachesTheLastWeight) {
  const auto weight = huge();
  const DeviceArray<std::uint8_t> packed(static_cast<std::size_t>(kRows * kCols / 2));
  const std::vector<std::uint8_t> bytes(kCols / 2, 0x3c);
  upload(packed.data() + kLast / 2, bytes.data(), bytes.size());
  const DeviceArray<float> absmax(std::vector<float>(kRows * kCols / 64, 2.0f));
  Nf4Scales scales;
  scales.absmax = absmax.data();
  constexpr std::int64_t kPerBlock = 8192;  // weights of a block of threads
  emulator::set_schedule({.first_block = static_cast<unsigned>((kRows * kCols - 1) / kPerBlock)});
  ASSERT_EQ(nf4_dequantize<Bf16>(weight.data(), packed.data(), scales, kRows * kCols, 64, nullptr),
            kSuccess);
  const std::vector<Bf16> got = get(weight);
  EXPECT_EQ(got[0].bits, from_float<Bf16>(2.0f * kNf4Code.at[3]).bits);
  EXPECT_EQ(got[kCols - 1].bits, from_float<Bf16>(2.0f * kNf4Code.at[12]).bits);
}

}  // namespace
}  // namespace mayfly::cuda
