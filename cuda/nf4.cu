#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "cuda/convert.cuh"
#include "cuda/nf4.h"
#include "cuda/reduce.cuh"

namespace mayfly::cuda {
namespace {

constexpr int kThreads = 256;

// ---- quantise

// Constants in the code, not a table: each comparison has its number in the instruction.
__device__ inline std::uint8_t nearest_code(float value) {
  constexpr Nf4Code code = kNf4Code;
  int below = 0;
  // Midpoints as bitsandbytes' CPU path computes them; its GPU tree prints numbers an ulp away.
  below += value > (code.at[0] + code.at[1]) / 2;
  below += value > (code.at[1] + code.at[2]) / 2;
  below += value > (code.at[2] + code.at[3]) / 2;
  below += value > (code.at[3] + code.at[4]) / 2;
  below += value > (code.at[4] + code.at[5]) / 2;
  below += value > (code.at[5] + code.at[6]) / 2;
  below += value > (code.at[6] + code.at[7]) / 2;
  below += value > (code.at[7] + code.at[8]) / 2;
  below += value > (code.at[8] + code.at[9]) / 2;
  below += value > (code.at[9] + code.at[10]) / 2;
  below += value > (code.at[10] + code.at[11]) / 2;
  below += value > (code.at[11] + code.at[12]) / 2;
  below += value > (code.at[12] + code.at[13]) / 2;
  below += value > (code.at[13] + code.at[14]) / 2;
  below += value > (code.at[14] + code.at[15]) / 2;
  return static_cast<std::uint8_t>(below);
}

// A warp a block of 64 weights, two a lane. kPair: two weights are one load.
template <class T, bool kPair>
__global__ void __launch_bounds__(kThreads)
    quantize_kernel(std::uint8_t* packed, float* absmax, const T* weight, std::int64_t count) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t block = static_cast<std::int64_t>(blockIdx.x) * (kThreads / kWarp) +
                             static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t at = block * kNf4Block + 2 * lane;

  float high = 0.0f;
  float low = 0.0f;
  if (kPair && at + 1 < count) {
    const Pack<T, 2> pair = load<2>(weight + at);
    high = widen(pair.at[0]);
    low = widen(pair.at[1]);
  } else {
    if (at < count) high = widen(load(weight + at).at[0]);
    if (at + 1 < count) low = widen(load(weight + at + 1).at[0]);
  }
  const float greatest = warp_max(fmaxf(fabsf(high), fabsf(low)));
  const float inverse = 1.0f / fmaxf(greatest, kNf4LeastAbsmax);
  if (at < count) {
    const std::uint8_t first = nearest_code(__fmul_rn(high, inverse));
    // An odd count ends with half a byte: the code of zero.
    const std::uint8_t second = nearest_code(__fmul_rn(low, inverse));
    store(packed + at / 2, Pack<std::uint8_t, 1>{static_cast<std::uint8_t>(first << 4 | second)});
  }
  if (lane == 0 && at < count) store(absmax + block, Pack<float, 1>{greatest});
}

__global__ void __launch_bounds__(kMostThreads)
    mean_kernel(float* mean, const float* values, std::int64_t count) {
  __shared__ Partials partials;
  float sum = 0.0f;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    sum = __fadd_rn(sum, load(values + i).at[0]);
  }
  sum = block_sum(sum, partials);
  if (threadIdx.x == 0) store(mean, Pack<float, 1>{sum / static_cast<float>(count)});
}

// One block of threads for 256 scales, a scale each.
__global__ void __launch_bounds__(kNf4ScaleBlock)
    quantize_scales_kernel(std::uint8_t* quantized, float* scale, const float* absmax,
                           const float* code, const float* offset, std::int64_t blocks) {
  __shared__ Partials partials;
  __shared__ Shared<float, 256> codes;
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * kNf4ScaleBlock + thread;
  codes[thread] = load(code + thread).at[0];
  float value = 0.0f;
  if (at < blocks) value = __fadd_rn(load(absmax + at).at[0], -load(offset).at[0]);
  const float greatest = block_max(fabsf(value), partials);  // its barriers are for `codes` too
  if (thread == 0) store(scale + blockIdx.x, Pack<float, 1>{greatest});
  if (at >= blocks) return;

  const float normed = greatest > 0.0f ? value / greatest : 0.0f;
  int index = 0;  // the last code that is not above `normed`
  for (int step = 128; step > 0; step /= 2) {
    if (codes[index + step] <= normed) index += step;
  }
  if (index < 255) {
    const float left = fabsf(__fadd_rn(normed, -codes[index]));
    const float right = fabsf(__fadd_rn(normed, -codes[index + 1]));
    if (right < left) ++index;
  }
  store(quantized + at, Pack<std::uint8_t, 1>{static_cast<std::uint8_t>(index)});
}

// ---- dequantise

__device__ inline float block_scale(const Nf4Scales& scales, Shared<float, 256>& codes,
                                    float offset, std::int64_t block) {
  if (scales.absmax != nullptr) return load(scales.absmax + block).at[0];
  const float code = codes[load(scales.quantized + block).at[0]];
  // Two roundings; one fused would change absmax in the last place.
  return __fadd_rn(__fmul_rn(code, load(scales.scale + block / kNf4ScaleBlock).at[0]), offset);
}

__device__ inline float decoded(Shared<float, 16>& table, std::uint8_t byte, bool first) {
  return table[first ? byte >> 4 : byte & 15];
}

// A word is what makes one pack of weights: four bytes for eight bf16. A thread has kUnroll of
// them, a block's width apart, all loaded before the first is used. The table lies in shared
// memory: its 16 words are 16 banks, so that no two of its words collide.
template <class T, int kValues>
__global__ void __launch_bounds__(kThreads)
    dequantize_kernel(T* weight, const std::uint8_t* packed, Nf4Scales scales, std::int64_t count,
                      int block_shift) {
  __shared__ Shared<float, 16> table;
  __shared__ Shared<float, 256> codes;
  constexpr int kUnroll = 4;
  constexpr int kBytes = kValues / 2;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < 16) {
    constexpr Nf4Code code = kNf4Code;
    float mine = code.at[0];
    for (int i = 1; i < 16; ++i) mine = thread == i ? code.at[i] : mine;
    table[thread] = mine;
  }
  const bool nested = scales.absmax == nullptr;
  if (nested) codes[thread] = load(scales.code + thread).at[0];
  const float offset = nested ? load(scales.offset).at[0] : 0.0f;
  __syncthreads();

  const std::int64_t words = count / kValues;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads * kUnroll + thread;
  Pack<std::uint8_t, kBytes> bytes[kUnroll];
  float scale[kUnroll];
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t word = first + u * kThreads;
    if (word >= words) continue;
    bytes[u] = load<kBytes>(packed + word * kBytes);
    scale[u] = block_scale(scales, codes, offset, word * kValues >> block_shift);
  }
  for (int u = 0; u < kUnroll; ++u) {
    const std::int64_t word = first + u * kThreads;
    if (word >= words) continue;
    Pack<T, kValues> out;
    for (int i = 0; i < kValues; ++i) {
      out.at[i] = narrow<T>(__fmul_rn(decoded(table, bytes[u].at[i / 2], i % 2 == 0), scale[u]));
    }
    if constexpr (kValues == kPackOf<T>) {
      store(weight + word * kValues, out);
    } else {
      for (int i = 0; i < kValues; ++i) store(weight + word * kValues + i, Pack<T, 1>{out.at[i]});
    }
  }

  // What does not fill a word.
  const std::int64_t at = words * kValues + thread;
  if (blockIdx.x + 1 == gridDim.x && at < count) {
    const std::uint8_t byte = load(packed + at / 2).at[0];
    const float absmax = block_scale(scales, codes, offset, at >> block_shift);
    store(weight + at, Pack<T, 1>{narrow<T>(__fmul_rn(decoded(table, byte, at % 2 == 0), absmax))});
  }
}

std::int64_t divided_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

template <class P>
bool is_aligned(const P* pointer, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

}  // namespace

template <class T>
Error nf4_quantize(std::uint8_t* packed, float* absmax, const T* weight, std::int64_t count,
                   Stream stream) {
  if (count == 0) return kSuccess;
  const std::int64_t blocks = divided_up(divided_up(count, kNf4Block), kThreads / kWarp);
  const auto kernel =
      is_aligned(weight, 2 * sizeof(T)) ? quantize_kernel<T, true> : quantize_kernel<T, false>;
  return launch(kernel, blocks, kThreads, stream, packed, absmax, weight, count);
}

Error nf4_mean(float* mean, const float* values, std::int64_t count, Stream stream) {
  if (count == 0) return kInvalidValue;
  return launch(mean_kernel, 1, kMostThreads, stream, mean, values, count);
}

Error nf4_quantize_scales(std::uint8_t* quantized, float* scale, const float* absmax,
                          const float* code, const float* offset, std::int64_t blocks,
                          Stream stream) {
  if (blocks == 0) return kSuccess;
  return launch(quantize_scales_kernel, divided_up(blocks, kNf4ScaleBlock), kNf4ScaleBlock, stream,
                quantized, scale, absmax, code, offset, blocks);
}

template <class T>
Error nf4_dequantize(T* weight, const std::uint8_t* packed, const Nf4Scales& scales,
                     std::int64_t count, int block, Stream stream) {
  if (block < 32 || block > 4096 || !std::has_single_bit(static_cast<unsigned>(block))) {
    return kInvalidValue;
  }
  if (count == 0) return kSuccess;
  const int shift = std::countr_zero(static_cast<unsigned>(block));
  constexpr int kValues = kPackOf<T>;
  const bool packs = is_aligned(weight, 16) && is_aligned(packed, kValues / 2);
  const int values = packs ? kValues : 2;
  const auto kernel = packs ? dequantize_kernel<T, kValues> : dequantize_kernel<T, 2>;
  const std::int64_t blocks = divided_up(std::max<std::int64_t>(count / values, 1), 4 * kThreads);
  return launch(kernel, blocks, kThreads, stream, weight, packed, scales, count, shift);
}

template <class T>
void nf4_quantize_reference(std::uint8_t* packed, float* absmax, const T* weight,
                            std::int64_t count) {
  for (std::int64_t start = 0; start < count; start += kNf4Block) {
    const std::int64_t end = std::min<std::int64_t>(start + kNf4Block, count);
    float greatest = 0.0f;
    for (std::int64_t i = start; i < end; ++i) {
      greatest = std::max(greatest, std::fabs(to_float(weight[i])));
    }
    absmax[start / kNf4Block] = greatest;
    const float inverse = 1.0f / std::max(greatest, kNf4LeastAbsmax);
    const auto index = [&](std::int64_t i) {
      const float value = i < end ? to_float(weight[i]) * inverse : 0.0f;
      unsigned below = 0;
      for (std::size_t c = 0; c + 1 < std::size(kNf4Code.at); ++c) {
        below += value > (kNf4Code.at[c] + kNf4Code.at[c + 1]) / 2;
      }
      return below;
    };
    for (std::int64_t i = start; i < end; i += 2) {
      packed[i / 2] = static_cast<std::uint8_t>(index(i) << 4 | index(i + 1));
    }
  }
}

void nf4_quantize_scales_reference(std::uint8_t* quantized, float* scale, const float* absmax,
                                   const float* code, float offset, std::int64_t blocks) {
  for (std::int64_t start = 0; start < blocks; start += kNf4ScaleBlock) {
    const std::int64_t end = std::min<std::int64_t>(start + kNf4ScaleBlock, blocks);
    float greatest = 0.0f;
    for (std::int64_t b = start; b < end; ++b) {
      greatest = std::max(greatest, std::fabs(absmax[b] - offset));
    }
    scale[start / kNf4ScaleBlock] = greatest;
    for (std::int64_t b = start; b < end; ++b) {
      const float normed = greatest > 0.0f ? (absmax[b] - offset) / greatest : 0.0f;
      // The nearest; of two as near, the lower.
      const auto nearest = std::min_element(code, code + 256, [&](float one, float other) {
        return std::fabs(normed - one) < std::fabs(normed - other);
      });
      quantized[b] = static_cast<std::uint8_t>(nearest - code);
    }
  }
}

template <class T>
void nf4_dequantize_reference(T* weight, const std::uint8_t* packed, const Nf4Scales& scales,
                              std::int64_t count, int block) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t b = i / block;
    float absmax;
    if (scales.absmax != nullptr) {
      absmax = scales.absmax[b];
    } else {
      const float product = scales.code[scales.quantized[b]] * scales.scale[b / kNf4ScaleBlock];
      absmax = product + scales.offset[0];
    }
    const unsigned byte = packed[i / 2];
    weight[i] = from_float<T>(kNf4Code.at[i % 2 == 0 ? byte >> 4 : byte & 15] * absmax);
  }
}

#define MAYFLY_FOR_TYPE(T)                                                                        \
  template Error nf4_quantize(std::uint8_t*, float*, const T*, std::int64_t, Stream);             \
  template Error nf4_dequantize(T*, const std::uint8_t*, const Nf4Scales&, std::int64_t, int,     \
                                Stream);                                                          \
  template void nf4_quantize_reference(std::uint8_t*, float*, const T*, std::int64_t);            \
  template void nf4_dequantize_reference(T*, const std::uint8_t*, const Nf4Scales&, std::int64_t, \
                                         int);
MAYFLY_FOR_TYPE(float)
MAYFLY_FOR_TYPE(Bf16)
MAYFLY_FOR_TYPE(Fp16)
#undef MAYFLY_FOR_TYPE

}  // namespace mayfly::cuda
