// A weight that is packed or restored wrongly still trains, only worse. So the CPU's loops are held
// bit for bit against the references of cuda/nf4.h, which `oracle.nf4` holds against bitsandbytes.
#include "trainer/ops/nf4.h"

#include <cstring>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "cuda/nf4.h"
#include "tests/trainer/tiny_llama.h"
#include "trainer/ops/frozen_weight.h"

namespace mayfly {
namespace {

template <class T>
bool same_bytes(const at::Tensor& got, const std::vector<T>& right) {
  const auto size = static_cast<std::size_t>(got.numel() * got.element_size());
  return size == right.size() * sizeof(T) && std::memcmp(got.data_ptr(), right.data(), size) == 0;
}

std::size_t divided_up(std::int64_t count, std::int64_t by) {
  return static_cast<std::size_t>((count + by - 1) / by);
}

// Random weights with what goes wrong first: a block of zeros, an outlier, values on the middles.
at::Tensor hard_weight(std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  at::Tensor weight = random_tensor({rows, columns}, 0.02, 7);
  at::Tensor flat = weight.view({-1});
  if (flat.numel() > 200) {
    flat.narrow(0, 64, 64).zero_();
    flat[130] = 4.0f;
    flat[192] = 1.0f;
    flat[193] = (cuda::kNf4Code.at[3] + cuda::kNf4Code.at[4]) / 2;
  }
  return weight.to(type);
}

template <class T>
void expect_reference_bits(const at::Tensor& weight, bool double_quant) {
  const std::int64_t count = weight.numel();
  const std::size_t blocks = divided_up(count, cuda::kNf4Block);
  std::vector<std::uint8_t> packed(divided_up(count, 2)), quantized(blocks);
  std::vector<float> absmax(blocks), scale(divided_up(std::int64_t(blocks), cuda::kNf4ScaleBlock));
  cuda::nf4_quantize_reference(packed.data(), absmax.data(),
                               static_cast<const T*>(weight.data_ptr()), count);
  const Nf4Weight got = nf4_quantize(weight, double_quant);
  EXPECT_TRUE(same_bytes(got.packed, packed));

  cuda::Nf4Scales scales{.absmax = absmax.data()};
  const auto code = cuda::nf4_scale_code();
  if (double_quant) {
    const float* const offset = got.offset.const_data_ptr<float>();
    cuda::nf4_quantize_scales_reference(quantized.data(), scale.data(), absmax.data(), code.data(),
                                        *offset, static_cast<std::int64_t>(blocks));
    EXPECT_TRUE(same_bytes(got.quantized, quantized));
    EXPECT_TRUE(same_bytes(got.scale, scale));
    scales = {nullptr, quantized.data(), scale.data(), code.data(), offset};
  } else {
    EXPECT_TRUE(same_bytes(got.absmax, absmax));
  }
  std::vector<T> restored(static_cast<std::size_t>(count));
  cuda::nf4_dequantize_reference(restored.data(), packed.data(), scales, count, cuda::kNf4Block);
  const at::Tensor out = at::full_like(weight, 99.0);
  nf4_restore(got, out);
  EXPECT_TRUE(same_bytes(out, restored));
}

TEST(Nf4OpTest, HasTheBitsOfTheReference) {
  // One weight, less than a byte, a block and one more, odd, more scales than share one, several
  // threads' worth.
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {1, 3}, {5, 13}, {8, 8}, {7, 31}, {64, 64}, {260, 65}, {512, 300}}) {
    for (const bool double_quant : {false, true}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
      expect_reference_bits<float>(hard_weight(rows, columns, at::kFloat), double_quant);
      expect_reference_bits<cuda::Bf16>(hard_weight(rows, columns, at::kBFloat16), double_quant);
    }
  }
}

TEST(Nf4OpTest, RestoresBlocksOfOtherSizes) {
  const at::Tensor weight = hard_weight(20, 130, at::kFloat);
  for (const std::int64_t block : {32, 128, 4096}) {
    Nf4Weight given = nf4_quantize(weight, false);
    given.block = block;
    given.absmax = random_tensor({given.blocks()}, 1.0, 3).abs();
    std::vector<float> right(static_cast<std::size_t>(weight.numel()));
    cuda::nf4_dequantize_reference(right.data(), given.packed.const_data_ptr<std::uint8_t>(),
                                   {.absmax = given.absmax.const_data_ptr<float>()}, weight.numel(),
                                   static_cast<int>(block));
    const at::Tensor out = at::empty_like(weight);
    nf4_restore(given, out);
    EXPECT_TRUE(same_bytes(out, right)) << block;
  }
}

TEST(Nf4OpTest, SaysHowManyBytesItTakes) {
  const at::Tensor weight = hard_weight(512, 512, at::kBFloat16);
  const double count = 512 * 512;
  const double tables = 4 * 256 + 4;
  EXPECT_NEAR(static_cast<double>(nf4_quantize(weight, true).bytes()) - tables,
              count * (0.5 + 1.0 / 64 + 4.0 / 16384), 1.0);
  EXPECT_EQ(nf4_quantize(weight, false).bytes(), 512 * 512 * 9 / 16);
}

TEST(FrozenWeightTest, SharesOneScratch) {
  const at::Tensor scratch = at::empty({6 * 70}, at::kFloat);
  const at::Tensor one = hard_weight(6, 70, at::kFloat), other = hard_weight(3, 64, at::kFloat) * 2;
  const FrozenWeight a(nf4_quantize(one, true), scratch), b(nf4_quantize(other, false), scratch);
  const at::Tensor first = a.matrix().clone();
  EXPECT_EQ(b.matrix().data_ptr(), scratch.data_ptr());
  EXPECT_EQ(b.matrix().sizes(), other.sizes());
  EXPECT_TRUE(a.matrix().equal(first)) << "restored anew each time";
  // Half of the widest gap between two codes, 0.152, plus what the scale lost.
  EXPECT_LT(relative_difference(first, one), 0.16);
  EXPECT_TRUE(FrozenWeight(one).matrix().is_same(one));
}

}  // namespace
}  // namespace mayfly
