// Both activations against the reference in double: shapes on both sides of a pack and of what a
// block takes, rows that are halves of a wider product, addresses not aligned, in place, numbers so
// large that the exponential is not finite. And the gradient against the slope.
#include "cuda/glu.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/cuda/arrays.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

template <class T>
void check(GluForm form, std::size_t offset = 0) {
  form.stride = form.cols;
  SCOPED_TRACE(testing::Message() << type_name<T>() << " " << form.rows << " x " << form.cols
                                  << (form.gate == Gate::silu ? " silu" : " gelu") << " offset "
                                  << offset);
  const auto count = static_cast<std::size_t>(form.rows * form.cols);
  const auto e = random_numbers<T>(count, 1, 2.0f), g = random_numbers<T>(count, 2);
  const auto dh = random_numbers<T>(count, 3);
  const auto e_there = placed(e, offset), g_there = placed(g, offset),
             dh_there = placed(dh, offset);
  DeviceArray<T> h(offset + count), de(offset + count), dg(offset + count), again(offset + count);
  ASSERT_EQ(glu(h.data() + offset, e_there.data() + offset, g_there.data() + offset, form, nullptr),
            kSuccess);
  ASSERT_EQ(glu_backward(de.data() + offset, dg.data() + offset, again.data() + offset,
                         dh_there.data() + offset, e_there.data() + offset, g_there.data() + offset,
                         form, nullptr),
            kSuccess);
  std::vector<double> h_want(count), de_want(count), dg_want(count);
  glu_reference(h_want.data(), e.data(), g.data(), form);
  glu_backward_reference(de_want.data(), dg_want.data(), dh.data(), e.data(), g.data(), form);
  // The last rounding; two more where f or df, near a middle, is rounded the other way; and float's
  // exponential and products.
  EXPECT_LE(excess(without(offset, h.read()), h_want, 3.2, 4e-6), 1.0);
  EXPECT_LE(excess(without(offset, de.read()), de_want, 3.2, 4e-6), 1.0);
  EXPECT_LE(excess(without(offset, dg.read()), dg_want, 3.2, 4e-6), 1.0);
  EXPECT_LE(excess(without(offset, again.read()), h_want, 3.2, 4e-6), 1.0);
}

TEST(GluTest, AgreesWithTheReferenceInEveryShape) {
  for (const Gate gate : {Gate::silu, Gate::gelu_tanh}) {
    // 1, prime, a pack and one more, what a block takes (4096 bf16) and a pack more.
    for (const std::int64_t cols : {1, 7, 8, 9, 127, 4096, 4104}) {
      check<Bf16>({.rows = 2, .cols = cols, .gate = gate});
    }
    check<Fp16>({.rows = 3, .cols = 1536, .gate = gate});
    check<float>({.rows = 2, .cols = 2052, .gate = gate});
    check<float>({.rows = 2, .cols = 2051, .gate = gate});
  }
}

TEST(GluTest, TakesAddressesThatAreNotAligned) {
  check<Bf16>({.rows = 2, .cols = 64}, 1);
}

TEST(GluTest, TakesGateAndUpAsHalvesOfOneProduct) {
  constexpr std::size_t kRows = 3, kCols = 40;
  const auto both = random_numbers<Bf16>(kRows * 2 * kCols, 1);
  std::vector<Bf16> e, g;
  for (std::size_t row = 0; row < kRows; ++row) {
    const auto start = both.begin() + static_cast<std::ptrdiff_t>(row * 2 * kCols);
    e.insert(e.end(), start, start + kCols);
    g.insert(g.end(), start + kCols, start + 2 * kCols);
  }
  DeviceArray<Bf16> both_there(both), e_there(e), g_there(g);
  DeviceArray<Bf16> h(kRows * kCols), h_of_halves(kRows * kCols);
  GluForm form{.rows = kRows, .cols = kCols, .stride = kCols};
  glu<Bf16>(h.data(), e_there.data(), g_there.data(), form, nullptr);
  form.stride = 2 * kCols;
  glu<Bf16>(h_of_halves.data(), both_there.data(), both_there.data() + kCols, form, nullptr);
  for (std::size_t i = 0; i < kRows * kCols; ++i) {
    EXPECT_EQ(h.read()[i].bits, h_of_halves.read()[i].bits);
  }
  // And their gradients back into the same places.
  DeviceArray<Bf16> dh(g);
  ASSERT_EQ(glu_backward<Bf16>(both_there.data(), both_there.data() + kCols, nullptr, dh.data(),
                               both_there.data(), both_there.data() + kCols, form, nullptr),
            kSuccess);
  std::vector<double> de(kRows * kCols), dg(kRows * kCols);
  glu_backward_reference<Bf16>(de.data(), dg.data(), g.data(), e.data(), g.data(), form);
  const std::vector<Bf16> got = both_there.read();
  EXPECT_NEAR(to_float(got[2 * kCols + 5]), de[kCols + 5], 0.02);
  EXPECT_NEAR(to_float(got[3 * kCols + 5]), dg[kCols + 5], 0.02);
}

TEST(GluTest, StaysFiniteForLargeNumbers) {
  const std::vector<float> e = {-200.0f, -90.0f, -0.0f, 0.0f, 90.0f, 200.0f, 1e30f, -1e30f};
  const std::vector<float> g(8, 1.0f);
  DeviceArray<float> e_there(e), g_there(g), h(8), de(8), dg(8);
  const GluForm form{.rows = 1, .cols = 8, .stride = 8};
  glu<float>(h.data(), e_there.data(), g_there.data(), form, nullptr);
  glu_backward<float>(de.data(), dg.data(), nullptr, g_there.data(), e_there.data(), g_there.data(),
                      form, nullptr);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_FLOAT_EQ(h.read()[i], e[i] > 0.0f ? e[i] : 0.0f) << i;
    if (e[i] != 0.0f) {
      EXPECT_NEAR(de.read()[i], e[i] > 0.0f ? 1.0f : 0.0f, 1e-6) << i;
    }
  }
}

TEST(GluTest, GradientIsTheSlope) {
  for (const Gate gate : {Gate::silu, Gate::gelu_tanh}) {
    const GluForm form{.rows = 1, .cols = 40, .stride = 40, .gate = gate};
    const auto e = random_numbers<float>(40, 1), g = random_numbers<float>(40, 2);
    const std::vector<float> ones(40, 1.0f);
    DeviceArray<float> e_there(e), g_there(g), dh(ones), de(40), dg(40);
    glu_backward<float>(de.data(), dg.data(), nullptr, dh.data(), e_there.data(), g_there.data(),
                        form, nullptr);
    const float step = 1.0f / 128;
    auto above = e, below = e;
    for (std::size_t i = 0; i < 40; ++i) {
      above[i] += step;
      below[i] -= step;
    }
    std::vector<double> high(40), low(40);
    glu_reference(high.data(), above.data(), g.data(), form);
    glu_reference(low.data(), below.data(), g.data(), form);
    for (std::size_t i = 0; i < 40; ++i) {
      const double slope = (high[i] - low[i]) / (static_cast<double>(above[i]) - below[i]);
      EXPECT_NEAR(de.read()[i], slope, 1e-4) << i;  // of the third order and of rounding f
      EXPECT_NEAR(dg.read()[i] * g[i], (high[i] + low[i]) / 2, 1e-4) << i;
    }
  }
}

}  // namespace
}  // namespace mayfly::cuda
