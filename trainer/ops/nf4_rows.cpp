#include "trainer/ops/nf4_rows.h"

#include <algorithm>
#include <cmath>

#include "cuda/nf4_code.h"
#include "trainer/ops/vector_code.h"

namespace mayfly {

namespace {

using cuda::kNf4Block;
using cuda::kNf4Code;
using cuda::kNf4LeastAbsmax;

constexpr int kValues = 16;

// A whole block, so that the loops have a known length; `count` of it are there.
template <class T>
MAYFLY_INLINE void quantize_block(std::uint8_t* packed, float* absmax, const T* weight,
                                  std::int64_t count) {
  float values[kNf4Block] = {};
  for (std::int64_t i = 0; i < count; ++i) values[i] = load(weight[i]);
  float greatest = 0.0f;
  for (int i = 0; i < kNf4Block; ++i) {
    const float size = std::fabs(values[i]);
    greatest = size > greatest ? size : greatest;
  }
  *absmax = greatest;
  const float inverse = 1.0f / std::max(greatest, kNf4LeastAbsmax);
  std::int32_t below[kNf4Block] = {};
  for (int i = 0; i < kNf4Block; ++i) values[i] *= inverse;
  for (int c = 0; c + 1 < kValues; ++c) {
    const float middle = (kNf4Code.at[c] + kNf4Code.at[c + 1]) / 2;
    for (int i = 0; i < kNf4Block; ++i) below[i] += values[i] > middle ? 1 : 0;
  }
  for (std::int64_t i = 0; i < count; i += 2) {
    packed[i / 2] = static_cast<std::uint8_t>(below[i] << 4 | below[i + 1]);
  }
}

template <class T>
MAYFLY_INLINE void quantize_blocks(std::uint8_t* packed, float* absmax, const T* weight,
                                   std::int64_t count) {
  for (; count > 0; count -= kNf4Block, ++absmax) {
    quantize_block(packed, absmax, weight, std::min<std::int64_t>(count, kNf4Block));
    packed += kNf4Block / 2;
    weight += kNf4Block;
  }
}

// A block has sixteen values: they are multiplied and rounded once, and the weights looked up.
template <class T>
MAYFLY_INLINE void restore_blocks(T* weight, const std::uint8_t* packed, const float* absmax,
                                  std::int64_t count, std::int64_t block) {
  for (; count > 0; count -= block, ++absmax, weight += block, packed += block / 2) {
    T values[kValues];
    for (int c = 0; c < kValues; ++c) values[c] = rounded<T>(kNf4Code.at[c] * *absmax);
    const std::int64_t here = std::min(count, block);
    for (std::int64_t byte = 0; byte < here / 2; ++byte) {
      weight[2 * byte] = values[packed[byte] >> 4];
      weight[2 * byte + 1] = values[packed[byte] & 15];
    }
    if (here % 2 != 0) weight[here - 1] = values[packed[here / 2] >> 4];
  }
}

}  // namespace

namespace nf4_rows {

MAYFLY_CLONES void quantize(std::uint8_t* packed, float* absmax, const float* weight,
                            std::int64_t count) {
  quantize_blocks(packed, absmax, weight, count);
}
MAYFLY_CLONES void quantize(std::uint8_t* packed, float* absmax, const Bf16* weight,
                            std::int64_t count) {
  quantize_blocks(packed, absmax, weight, count);
}

float quantize_scales(std::uint8_t* quantized, const float* absmax, const float* code, float offset,
                      std::int64_t count) {
  float greatest = 0.0f;
  for (std::int64_t b = 0; b < count; ++b) {
    greatest = std::max(greatest, std::fabs(absmax[b] - offset));
  }
  constexpr int kCodes = 256;
  for (std::int64_t b = 0; b < count; ++b) {
    const float normed = greatest > 0.0f ? (absmax[b] - offset) / greatest : 0.0f;
    const float* const above = std::lower_bound(code, code + kCodes, normed);
    const auto after = static_cast<int>(std::min<std::ptrdiff_t>(above - code, kCodes - 1));
    const int before = std::max(after - 1, 0);
    // Of two as near, the lower.
    const bool lower = std::fabs(normed - code[before]) <= std::fabs(normed - code[after]);
    quantized[b] = static_cast<std::uint8_t>(lower ? before : after);
  }
  return greatest;
}

MAYFLY_CLONES void restore(float* weight, const std::uint8_t* packed, const float* absmax,
                           std::int64_t count, std::int64_t block) {
  restore_blocks(weight, packed, absmax, count, block);
}
MAYFLY_CLONES void restore(Bf16* weight, const std::uint8_t* packed, const float* absmax,
                           std::int64_t count, std::int64_t block) {
  restore_blocks(weight, packed, absmax, count, block);
}

}  // namespace nf4_rows
}  // namespace mayfly
