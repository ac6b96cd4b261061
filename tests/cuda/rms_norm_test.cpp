// The kernel against the reference in double: rows that a block keeps in registers and rows that it
// does not, both sides of each edge between them, addresses that are not aligned, the three types,
// with and without a residual, both families' rounding. And the gradient against the slope.
#include "cuda/rms_norm.h"

#include <limits>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/cuda/arrays.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

template <class T>
void check(const RmsNormForm& form, bool with_residual, std::size_t offset) {
  SCOPED_TRACE(testing::Message() << type_name<T>() << " " << form.rows << " x " << form.cols
                                  << (form.one_plus ? " 1 + w" : "")
                                  << (with_residual ? " residual" : "") << " offset " << offset);
  const auto count = static_cast<std::size_t>(form.rows * form.cols);
  const auto width = static_cast<std::size_t>(form.cols);
  const auto x = random_numbers<T>(count, 1), more = random_numbers<T>(count, 2);
  const auto weight = random_numbers<T>(width, 3), dy = random_numbers<T>(count, 4);
  const auto x_there = placed(x, offset), more_there = placed(more, offset);
  const auto weight_there = placed(weight, offset), dy_there = placed(dy, offset);
  DeviceArray<T> y(offset + count), s(offset + count), dx(offset + count);
  const T* const residual = with_residual ? more_there.data() + offset : nullptr;

  ASSERT_EQ(rms_norm(y.data() + offset, s.data() + offset, x_there.data() + offset, residual,
                     weight_there.data() + offset, form, nullptr),
            kSuccess);
  std::vector<double> y_want(count), s_want(count), dx_want(count);
  rms_norm_reference(y_want.data(), s_want.data(), x.data(), with_residual ? more.data() : nullptr,
                     weight.data(), form);
  // Of the sum, the root, two products: 4 units of 2^-24 and those of the sum's order. Where the
  // number to be rounded on the way lies near a middle, it may go the other way: a unit of T twice.
  EXPECT_LE(excess(without(offset, y.read()), y_want, 3.2, 4e-6), 1.0);
  if (with_residual) {
    EXPECT_LE(excess(without(offset, s.read()), s_want, 0.0, 1e-30), 1.0);
  }

  ASSERT_EQ(rms_norm_backward(dx.data() + offset, dy_there.data() + offset, x_there.data() + offset,
                              weight_there.data() + offset, residual, form, nullptr),
            kSuccess);
  rms_norm_backward_reference(dx_want.data(), dy.data(), x.data(), weight.data(),
                              with_residual ? more.data() : nullptr, form);
  // The last rounding, and float's in two sums of products of both signs.
  EXPECT_LE(excess(without(offset, dx.read()), dx_want, 1.1, 2e-5), 1.0);
}

template <class T>
void check_shapes(const std::vector<RmsNormForm>& forms) {
  for (const RmsNormForm& form : forms) {
    for (const bool with_residual : {false, true}) check<T>(form, with_residual, 0);
  }
}

TEST(RmsNormTest, AgreesWithTheReferenceInEveryShape) {
  // 1, prime, not a multiple of a pack, one warp and one pack more, and widths of real models.
  check_shapes<Bf16>({{.rows = 3, .cols = 1},
                      {.rows = 2, .cols = 31},
                      {.rows = 7, .cols = 8},
                      {.rows = 2, .cols = 512},
                      {.rows = 2, .cols = 520},
                      {.rows = 1, .cols = 997},
                      {.rows = 3, .cols = 576},
                      {.rows = 2, .cols = 3584, .eps = 1e-5f}});
  check_shapes<Fp16>({{.rows = 2, .cols = 40}, {.rows = 2, .cols = 257}});
  check_shapes<float>(
      {{.rows = 2, .cols = 4}, {.rows = 2, .cols = 130}, {.rows = 1, .cols = 2048}});
}

TEST(RmsNormTest, AgreesOnBothSidesOfTheLongestRowThatStaysInRegisters) {
  check_shapes<Bf16>({{.rows = 1, .cols = 16384}, {.rows = 1, .cols = 16392}});
  check_shapes<float>({{.rows = 1, .cols = 8192}, {.rows = 1, .cols = 8196}});
}

TEST(RmsNormTest, MultipliesByOnePlusTheWeightForGemma) {
  for (const std::int64_t cols : {33, 256}) {
    check<Bf16>({.rows = 2, .cols = cols, .one_plus = true}, true, 0);
    check<float>({.rows = 2, .cols = cols, .one_plus = true}, false, 0);
  }
}

TEST(RmsNormTest, TakesAddressesThatAreNotAligned) {
  check<Bf16>({.rows = 2, .cols = 256}, true, 1);
  check<float>({.rows = 2, .cols = 256}, true, 3);
}

TEST(RmsNormTest, DoesNothingForNoRows) {
  EXPECT_EQ(rms_norm<float>(nullptr, nullptr, nullptr, nullptr, nullptr, {.rows = 0}, nullptr),
            kSuccess);
}

// transformers rounds before the weight; libtorch's own op does not and differs in a quarter of all
// outputs. A plain loop in float with exactly those roundings: bit for bit but for the last bit of
// the device's root.
TEST(RmsNormTest, RoundsAsTransformersDoes) {
  const RmsNormForm form{.rows = 8, .cols = 512};
  const auto count = static_cast<std::size_t>(form.rows * form.cols);
  const auto x = random_numbers<Bf16>(count, 1);
  const auto weight = random_numbers<Bf16>(512, 2);
  DeviceArray<Bf16> x_there(x), weight_there(weight), y(count);
  ASSERT_EQ(rms_norm<Bf16>(y.data(), nullptr, x_there.data(), nullptr, weight_there.data(), form,
                           nullptr),
            kSuccess);
  const std::vector<Bf16> got = y.read();
  std::size_t other = 0, other_if_rounded_once = 0;
  for (std::size_t row = 0; row < 8; ++row) {
    double sum = 0.0;
    for (std::size_t c = 0; c < 512; ++c) sum += std::pow(to_float(x[row * 512 + c]), 2);
    const auto r = static_cast<float>(1.0 / std::sqrt(sum / 512 + 1e-6));
    for (std::size_t c = 0; c < 512; ++c) {
      const float normed = to_float(x[row * 512 + c]) * r;
      const float rounded = to_float(from_float<Bf16>(normed));
      other += got[row * 512 + c].bits != from_float<Bf16>(to_float(weight[c]) * rounded).bits;
      other_if_rounded_once +=
          got[row * 512 + c].bits != from_float<Bf16>(to_float(weight[c]) * normed).bits;
    }
  }
  EXPECT_LE(other, count / 1000);
  EXPECT_GT(other_if_rounded_once, count / 8);
}

// dx against the slope of the forward reference, in double.
TEST(RmsNormTest, GradientIsTheSlope) {
  for (const bool one_plus : {false, true}) {
    const RmsNormForm form{.rows = 1, .cols = 24, .one_plus = one_plus};
    auto x = random_numbers<float>(24, 1);
    const auto weight = random_numbers<float>(24, 2), dy = random_numbers<float>(24, 3);
    DeviceArray<float> x_there(x), weight_there(weight), dy_there(dy), dx(24);
    ASSERT_EQ(rms_norm_backward<float>(dx.data(), dy_there.data(), x_there.data(),
                                       weight_there.data(), nullptr, form, nullptr),
              kSuccess);
    const auto loss = [&] {
      std::vector<double> y(24), s(24);
      rms_norm_reference<float>(y.data(), s.data(), x.data(), nullptr, weight.data(), form);
      double sum = 0.0;
      for (std::size_t i = 0; i < 24; ++i) sum += y[i] * dy[i];
      return sum;
    };
    for (std::size_t i = 0; i < 24; ++i) {
      const float kept = x[i];
      const float step = 1.0f / 256;
      x[i] = kept + step;
      const double above = loss();
      x[i] = kept - step;
      const double below = loss();
      x[i] = kept;
      // The reference rounds to float on the way: 1e-7 over a step of 1/128; and the third order.
      EXPECT_NEAR(dx.read()[i], (above - below) / (2.0 * step), 2e-4) << i;
    }
  }
}

// Infinities and zeros give what the formula gives, not a hang or a number from elsewhere.
TEST(RmsNormTest, KeepsZerosAndInfinities) {
  std::vector<float> x(64, 0.0f);
  const std::vector<float> weight(64, 2.0f);
  DeviceArray<float> weight_there(weight), zeros(x), y(64);
  const RmsNormForm form{.rows = 1, .cols = 64};
  ASSERT_EQ(
      rms_norm<float>(y.data(), nullptr, zeros.data(), nullptr, weight_there.data(), form, nullptr),
      kSuccess);
  EXPECT_EQ(y.read(), x);
  x[5] = std::numeric_limits<float>::infinity();
  DeviceArray<float> infinite(x);
  ASSERT_EQ(rms_norm<float>(y.data(), nullptr, infinite.data(), nullptr, weight_there.data(), form,
                            nullptr),
            kSuccess);
  EXPECT_TRUE(std::isnan(y.read()[5]));
  EXPECT_EQ(y.read()[6], 0.0f);
}

// In place, as the trainer calls it.
TEST(RmsNormTest, MayOverwriteItsInputs) {
  const RmsNormForm form{.rows = 2, .cols = 64};
  const auto x = random_numbers<Bf16>(128, 1), weight = random_numbers<Bf16>(64, 2);
  DeviceArray<Bf16> one(x), other(x), weight_there(weight), y(128);
  rms_norm<Bf16>(y.data(), nullptr, one.data(), nullptr, weight_there.data(), form, nullptr);
  rms_norm<Bf16>(other.data(), nullptr, other.data(), nullptr, weight_there.data(), form, nullptr);
  for (std::size_t i = 0; i < 128; ++i) EXPECT_EQ(y.read()[i].bits, other.read()[i].bits);
}

}  // namespace
}  // namespace mayfly::cuda
