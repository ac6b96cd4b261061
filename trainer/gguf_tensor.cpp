#include "trainer/gguf_tensor.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include <c10/util/Half.h>

namespace mayfly {

namespace {

constexpr std::int64_t kBlock = 32;

// Writes one block of 34 bytes.
void quantize_block(const float* numbers, std::byte* out) {
  float largest = 0;
  for (std::int64_t i = 0; i < kBlock; ++i) largest = std::max(largest, std::abs(numbers[i]));
  const float scale = largest / 127.0F;
  const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
  const auto half = static_cast<c10::Half>(scale);
  std::memcpy(out, &half, sizeof half);
  for (std::int64_t i = 0; i < kBlock; ++i) {
    out[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(numbers[i] * inverse)));
  }
}

}  // namespace

at::Tensor rows_for_neighbours(const at::Tensor& weight, std::int64_t heads) {
  const std::int64_t half = weight.size(0) / heads / 2;
  return weight.reshape({heads, 2, half, weight.size(1)}).transpose(1, 2).reshape(weight.sizes());
}

std::vector<std::byte> gguf_numbers(const at::Tensor& value, GgufType type) {
  const auto scalar = type == GgufType::f16    ? at::kHalf
                      : type == GgufType::bf16 ? at::kBFloat16
                                               : at::kFloat;
  const at::Tensor numbers = value.to(scalar).contiguous();
  if (type != GgufType::q8_0) {
    const auto* const data = static_cast<const std::byte*>(numbers.const_data_ptr());
    return {data, data + numbers.nbytes()};
  }
  const std::int64_t blocks = numbers.numel() / kBlock;
  assert(numbers.size(-1) % kBlock == 0);
  std::vector<std::byte> out(static_cast<std::size_t>(blocks) * (kBlock + 2));
  const auto* const data = numbers.const_data_ptr<float>();
  for (std::int64_t i = 0; i < blocks; ++i) {
    quantize_block(data + i * kBlock, out.data() + i * (kBlock + 2));
  }
  return out;
}

}  // namespace mayfly
