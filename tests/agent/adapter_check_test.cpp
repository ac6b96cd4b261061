// An adapter of numbers that are none looks like every other: right size, right hash, a listing
// that agrees. Whoever loads it gets noise, so it must be said; and a good one must never be called
// bad.
#include "agent/adapter_check.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "core/model/safetensors.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using testing::HasSubstr;

class AdapterCheckTest : public TemporaryFolder {
 protected:
  template <class T>
  std::string flag(TensorType type, const std::vector<T>& values) {
    const auto path = folder_ / "adapter_model.safetensors";
    EXPECT_TRUE(write_safetensors(path, {{"lora",
                                          type,
                                          {static_cast<std::int64_t>(values.size())},
                                          std::as_bytes(std::span(values))}}));
    return adapter_flag({{put("README.md", "words"), "README.md"}, {path, path.filename()}});
  }
};

TEST_F(AdapterCheckTest, TheLargestNumbersAreFinite) {
  using Float = std::numeric_limits<float>;
  using Double = std::numeric_limits<double>;
  EXPECT_EQ(flag<float>(TensorType::f32, {0, -0.0F, Float::max(), Float::lowest(), Float::min(),
                                          Float::denorm_min()}),
            "");
  EXPECT_EQ(flag<double>(TensorType::f64, {Double::max(), Double::lowest(), 1e-310}), "");
  EXPECT_EQ(flag<std::uint16_t>(TensorType::f16, {0x7bff, 0xfbff, 0, 1}), "");
  EXPECT_EQ(flag<std::uint16_t>(TensorType::bf16, {0x7f7f, 0xff7f, 0, 1}), "");
  EXPECT_EQ(flag<std::uint8_t>(TensorType::f8_e4m3, {0x7e, 0xfe}), "");
  EXPECT_EQ(flag<std::uint8_t>(TensorType::f8_e5m2, {0x7b, 0xfb}), "");
}

TEST_F(AdapterCheckTest, InfinitiesAndWhatIsNoNumberAreFound) {
  const float nan = std::nanf("");
  for (const float bad : {nan, -nan, INFINITY, -INFINITY}) {
    EXPECT_EQ(flag<float>(TensorType::f32, {1, bad, 2}),
              "not finite: 1 numbers in 1 tensors, first in lora");
  }
  EXPECT_THAT(flag<double>(TensorType::f64, {std::nan(""), 1}), HasSubstr("1 numbers"));
  EXPECT_THAT(flag<std::uint16_t>(TensorType::f16, {0x7c00, 0xfc00, 0x7e00}),
              HasSubstr("3 numbers"));
  EXPECT_THAT(flag<std::uint16_t>(TensorType::bf16, {0x7f80, 0xff80, 0x7fc0}),
              HasSubstr("3 numbers"));
  EXPECT_THAT(flag<std::uint8_t>(TensorType::f8_e4m3, {0x7f, 0xff}), HasSubstr("2 numbers"));
  EXPECT_THAT(flag<std::uint8_t>(TensorType::f8_e5m2, {0x7c, 0xff}), HasSubstr("2 numbers"));
}

// Beyond the block that is read at once, and beside whole numbers, whose bits mean something else.
TEST_F(AdapterCheckTest, LooksToTheEndAndAtFloatsOnly) {
  std::vector<float> values((3 << 18) + 1, 0.5F);
  EXPECT_EQ(flag(TensorType::f32, values), "");
  values.back() = INFINITY;
  EXPECT_NE(flag(TensorType::f32, values), "");
  EXPECT_EQ(flag<std::int32_t>(TensorType::i32, {-1, 0x7f80'0000}), "");
}

TEST_F(AdapterCheckTest, WhatCannotBeReadIsSaid) {
  const auto bad = put("adapter_model.safetensors", "not weights");
  EXPECT_THAT(adapter_flag({{bad, "adapter_model.safetensors"}}), HasSubstr("unreadable"));
  EXPECT_THAT(adapter_flag({{folder_ / "none", "adapter_model.safetensors"}}),
              HasSubstr("unreadable"));
  EXPECT_EQ(adapter_flag({{bad, "logs/train.log"}}), "") << "no weights among them";
  EXPECT_EQ(adapter_flag({}), "");
}

}  // namespace
}  // namespace mayfly
