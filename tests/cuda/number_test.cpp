// Every kernel reads and writes through these conversions, so a wrong one would be wrong everywhere
// and agree with itself. Held against definitions that share nothing with them.
#include "cuda/number.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include <gtest/gtest.h>

namespace mayfly::cuda {
namespace {

// The value of a binary floating point number, by the definition.
double value_of(unsigned bits, int exponent_bits, int fraction_bits) {
  const int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = static_cast<int>(bits) & ((1 << fraction_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits >> (exponent_bits + fraction_bits) & 1) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? NAN : sign * INFINITY;
  const double whole = exponent == 0 ? 0.0 : 1.0;
  return sign *
         std::ldexp(whole + std::ldexp(fraction, -fraction_bits), std::max(exponent, 1) - bias);
}

template <class T>
void check_every_number(int exponent_bits, int fraction_bits) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const T number{static_cast<std::uint16_t>(bits)};
    const double want = value_of(bits, exponent_bits, fraction_bits);
    const float got = to_float(number);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
      ASSERT_TRUE(std::isnan(to_float(from_float<T>(got)))) << bits;
      continue;
    }
    ASSERT_EQ(got, want) << bits;
    ASSERT_EQ(from_float<T>(got).bits, bits);
  }
}

// Between two neighbours the middle goes to the even one, what is beyond it to the nearer.
template <class T>
void check_rounding(unsigned infinity) {
  for (unsigned bits = 0; bits + 1 < infinity; ++bits) {
    const double low = to_float(T{static_cast<std::uint16_t>(bits)});
    const double high = to_float(T{static_cast<std::uint16_t>(bits + 1)});
    const auto middle = static_cast<float>((low + high) / 2);
    const unsigned even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(from_float<T>(middle).bits, even) << bits;
    ASSERT_EQ(from_float<T>(std::nextafter(middle, 0.0f)).bits, bits) << bits;
    ASSERT_EQ(from_float<T>(std::nextafter(middle, INFINITY)).bits, bits + 1) << bits;
    ASSERT_EQ(from_float<T>(-middle).bits, even | 0x8000u) << bits;
  }
}

TEST(NumberTest, ReadsAndWritesEveryBf16AndFp16) {
  check_every_number<Bf16>(8, 7);
  check_every_number<Fp16>(5, 10);
}

TEST(NumberTest, RoundsToNearestAndTiesToEven) {
  check_rounding<Bf16>(0x7f80);
  check_rounding<Fp16>(0x7c00);
}

TEST(NumberTest, RoundsWhatIsTooLargeToInfinity) {
  EXPECT_EQ(from_float<Fp16>(65519.0f).bits, 0x7bffu);  // 65504
  EXPECT_EQ(from_float<Fp16>(65520.0f).bits, 0x7c00u);
  EXPECT_EQ(from_float<Fp16>(-INFINITY).bits, 0xfc00u);
  EXPECT_EQ(from_float<Bf16>(3.4e38f).bits, 0x7f80u);
  EXPECT_EQ(from_float<Fp16>(1e-8f).bits, 0u);
}

}  // namespace
}  // namespace mayfly::cuda
