// A wrong bit in a quantised weight is a wrong model that still trains. So all equality here is bit
// for bit: with plain loops on the host, which in turn are held against bitsandbytes (oracle.nf4).
#include "cuda/nf4.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/cuda/arrays.h"
#include "tests/cuda/device_array.h"

namespace mayfly::cuda {
namespace {

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

std::size_t blocks_of(std::size_t count, std::size_t block) {
  return (count + block - 1) / block;
}

struct Quantized {
  std::vector<std::uint8_t> packed;
  std::vector<float> absmax;
};

template <class T>
Quantized quantized(const std::vector<T>& weight, std::size_t offset) {
  std::vector<T> all(offset);
  all.insert(all.end(), weight.begin(), weight.end());
  DeviceArray<T> there(all);
  DeviceArray<std::uint8_t> packed((weight.size() + 1) / 2);
  DeviceArray<float> absmax(blocks_of(weight.size(), kNf4Block));
  EXPECT_EQ(nf4_quantize(packed.data(), absmax.data(), there.data() + offset,
                         static_cast<std::int64_t>(weight.size()), nullptr),
            kSuccess);
  return {packed.read(), absmax.read()};
}

template <class T>
Quantized expected(const std::vector<T>& weight) {
  Quantized want{std::vector<std::uint8_t>((weight.size() + 1) / 2),
                 std::vector<float>(blocks_of(weight.size(), kNf4Block))};
  nf4_quantize_reference(want.packed.data(), want.absmax.data(), weight.data(),
                         static_cast<std::int64_t>(weight.size()));
  return want;
}

template <class T>
void check_quantize(std::size_t count, std::size_t offset) {
  SCOPED_TRACE(testing::Message() << type_name<T>() << " " << count << " offset " << offset);
  const auto weight = random_numbers<T>(count, 1, 0.02f);
  const Quantized got = quantized(weight, offset), want = expected(weight);
  EXPECT_EQ(got.packed, want.packed);
  EXPECT_EQ(got.absmax, want.absmax);
}

TEST(Nf4Test, QuantizesBitForBit) {
  for (const std::size_t count : {1, 2, 63, 64, 65, 127, 512, 513, 64 * 97}) {
    check_quantize<Bf16>(count, 0);
    check_quantize<Fp16>(count, 1);
    check_quantize<float>(count, 0);
  }
}

TEST(Nf4Test, QuantizesZerosTiesAndExtremes) {
  std::vector<float> weight(128, 0.0f);  // a block of zeros, then one with every middle of the code
  weight[64] = 1.0f;
  for (std::size_t i = 0; i + 1 < 16; ++i) {
    weight[65 + i] = (kNf4Code.at[i] + kNf4Code.at[i + 1]) / 2;
  }
  weight[100] = -1.0f;
  const Quantized got = quantized(weight, 0), want = expected(weight);
  EXPECT_EQ(got.packed, want.packed);
  EXPECT_EQ(got.packed[0], 0x77);  // 0 is code 7
  EXPECT_EQ(got.absmax[0], 0.0f);
  EXPECT_EQ(got.packed[32] >> 4, 15);
  EXPECT_EQ(got.packed[32] & 15, 0);  // a middle goes down
  EXPECT_EQ(got.packed[33] >> 4, 1);
  EXPECT_EQ(got.packed[50] >> 4, 0);
}

TEST(Nf4Test, ScaleCodeIsSortedAndReachesOne) {
  const std::array<float, 256> code = nf4_scale_code();
  EXPECT_TRUE(std::is_sorted(code.begin(), code.end()));
  EXPECT_EQ(code[255], 1.0f);
  EXPECT_EQ(code[127], 0.0f);
  EXPECT_NEAR(code[0], -0.99297, 1e-5);
}

class Nf4ScalesTest : public testing::TestWithParam<std::size_t> {};

TEST_P(Nf4ScalesTest, AreQuantizedBitForBit) {
  const std::size_t blocks = GetParam();
  auto absmax = random_numbers<float>(blocks, 5, 0.01f);
  for (float& value : absmax) value = std::fabs(value) + 0.02f;
  const std::array<float, 256> code = nf4_scale_code();
  DeviceArray<float> there(absmax), code_there(std::vector<float>(code.begin(), code.end()));
  DeviceArray<float> offset(1), scale(blocks_of(blocks, kNf4ScaleBlock));
  DeviceArray<std::uint8_t> bytes(blocks);
  const auto count = static_cast<std::int64_t>(blocks);
  ASSERT_EQ(nf4_mean(offset.data(), there.data(), count, nullptr), kSuccess);
  double mean = 0.0;
  for (const float value : absmax) mean += value / static_cast<double>(blocks);
  EXPECT_NEAR(offset.read()[0], mean, 1e-6 * mean);

  ASSERT_EQ(nf4_quantize_scales(bytes.data(), scale.data(), there.data(), code_there.data(),
                                offset.data(), count, nullptr),
            kSuccess);
  std::vector<std::uint8_t> bytes_want(blocks);
  std::vector<float> scale_want(scale.size());
  nf4_quantize_scales_reference(bytes_want.data(), scale_want.data(), absmax.data(), code.data(),
                                offset.read()[0], count);
  EXPECT_EQ(bytes.read(), bytes_want);
  EXPECT_EQ(scale.read(), scale_want);
}

INSTANTIATE_TEST_SUITE_P(Blocks, Nf4ScalesTest, testing::Values(1, 2, 255, 256, 257, 1031));

// ---- dequantise

struct Place {
  std::size_t count;
  int block = 64;
  std::size_t packed_offset = 0, weight_offset = 0;
};

template <class T>
void check_dequantize(const Place& place, bool nested) {
  SCOPED_TRACE(testing::Message() << type_name<T>() << " " << place.count << " blocks of "
                                  << place.block << (nested ? " nested" : "") << " offsets "
                                  << place.packed_offset << " " << place.weight_offset);
  const std::size_t blocks = blocks_of(place.count, static_cast<std::size_t>(place.block));
  std::mt19937 random(7);
  std::vector<std::uint8_t> packed(place.packed_offset + (place.count + 1) / 2), bytes(blocks);
  for (std::uint8_t& byte : packed) byte = static_cast<std::uint8_t>(random());
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  auto absmax = random_numbers<float>(blocks, 3, 0.02f);
  auto scale = random_numbers<float>(blocks_of(blocks, kNf4ScaleBlock), 4, 0.01f);
  const std::array<float, 256> code = nf4_scale_code();
  const std::vector<float> codes(code.begin(), code.end()), offset = {0.0213f};

  DeviceArray<std::uint8_t> packed_there(packed), bytes_there(bytes);
  DeviceArray<float> absmax_there(absmax), scale_there(scale), code_there(codes);
  DeviceArray<float> offset_there(offset);
  DeviceArray<T> weight(place.weight_offset + place.count);
  Nf4Scales there, here;
  if (nested) {
    there = {nullptr, bytes_there.data(), scale_there.data(), code_there.data(),
             offset_there.data()};
    here = {nullptr, bytes.data(), scale.data(), codes.data(), offset.data()};
  } else {
    there.absmax = absmax_there.data();
    here.absmax = absmax.data();
  }
  const auto count = static_cast<std::int64_t>(place.count);
  ASSERT_EQ(
      nf4_dequantize(weight.data() + place.weight_offset, packed_there.data() + place.packed_offset,
                     there, count, place.block, nullptr),
      kSuccess);
  std::vector<T> want(place.count);
  nf4_dequantize_reference(want.data(), packed.data() + place.packed_offset, here, count,
                           place.block);
  std::vector<T> got = weight.read();
  got.erase(got.begin(), got.begin() + static_cast<std::ptrdiff_t>(place.weight_offset));
  EXPECT_TRUE(same_bits(got, want));
}

TEST(Nf4Test, DequantizesBitForBit) {
  // One weight, both sides of a pack, of a block, of what a block of threads takes (8192).
  for (const std::size_t count : {1, 2, 7, 8, 9, 63, 64, 65, 1000, 8191, 8192, 8193, 20000}) {
    for (const bool nested : {false, true}) {
      check_dequantize<Bf16>({count}, nested);
      if (count <= 1000) check_dequantize<Fp16>({count}, nested);
      if (count <= 1000 || count == 8193) check_dequantize<float>({count}, nested);
    }
  }
}

TEST(Nf4Test, DequantizesBlocksOfOtherSizes) {
  for (const int block : {32, 128, 4096}) check_dequantize<Bf16>({9001, block}, true);
}

TEST(Nf4Test, DequantizesWhereAddressesAreNotAligned) {
  for (const std::size_t packed : {0, 1, 2}) {
    for (const std::size_t weight : {0, 1, 2}) {
      check_dequantize<Bf16>({333, 64, packed, weight}, true);
      check_dequantize<float>({333, 64, packed, weight}, false);
    }
  }
}

TEST(Nf4Test, RefusesBlocksThatAreNoPowerOfTwo) {
  for (const int block : {0, 16, 48, 65, 8192}) {
    EXPECT_EQ(nf4_dequantize<float>(nullptr, nullptr, {}, 64, block, nullptr), kInvalidValue);
  }
}

TEST(Nf4Test, RoundTripsWithinHalfAStepOfTheCode) {
  const auto weight = random_numbers<float>(64 * 50, 1, 0.02f);
  const Quantized quantised = expected(weight);
  std::vector<float> back(weight.size());
  Nf4Scales scales;
  scales.absmax = quantised.absmax.data();
  nf4_dequantize_reference(back.data(), quantised.packed.data(), scales, 64 * 50, 64);
  for (std::size_t i = 0; i < weight.size(); ++i) {
    // The widest step of the code is from -1 to -0.696.
    EXPECT_LE(std::fabs(back[i] - weight[i]), 0.1521f * quantised.absmax[i / 64]) << i;
  }
}

}  // namespace
}  // namespace mayfly::cuda
