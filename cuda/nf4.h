// NF4, QLoRA's four-bit numbers: a weight is one of 16 fixed values times its block's scale, and
// the scales are quantised to eight bits in their turn.
//
//   absmax_b = max over block b of |w|           q = number of midpoints of the code below w/absmax
//   scale_c = max over 256 blocks of |absmax - offset|, offset = mean(absmax)
//   q8_b = nearest of code8 to (absmax_b - offset) / scale_c
//   absmax_b ≈ code8[q8_b] · scale_c + offset    w ≈ round(code[q] · absmax_b)
//
// Source   Dettmers et al. 2023, arXiv:2305.14314; bit for bit what bitsandbytes 0.50.2 computes on
//          the CPU (`oracle.nf4`): products and sums are rounded one by one, never fused. But for
//          q8: there bitsandbytes' CPU path takes a neighbour of the nearest one time in 700.
// Shapes   weight (count), flattened row-major, blocks of consecutive weights; packed
//          ((count + 1) / 2), two weights a byte, the first in the high half.
// Types    weight T: float, Bf16, Fp16; packed, q8 uint8; all else float.
// Bytes    dequantise, a weight: 1/2 + 1/64 + 4/16384 + sizeof(T); quantise: sizeof(T) + 9/16.
// Paths    dequantise: packs of 16 bytes where the addresses are aligned, else one weight at a
//          time.
// Errors   the launch's; kInvalidValue for a block that is no power of two from 32 to 4096.
#pragma once

#include <cstdint>

#include "cuda/nf4_code.h"
#include "cuda/number.h"
#include "cuda/stream.h"

namespace mayfly::cuda {

// Where the blocks' scales are: in `absmax`, or, if that is null, quantised in the rest.
struct Nf4Scales {
  const float* absmax = nullptr;
  const std::uint8_t* quantized = nullptr;  // (blocks)
  const float* scale = nullptr;             // (blocks / 256, rounded up)
  const float* code = nullptr;              // (256)
  const float* offset = nullptr;            // (1)
};

// absmax gets one float for each 64 weights.
template <class T>
Error nf4_quantize(std::uint8_t* packed, float* absmax, const T* weight, std::int64_t count,
                   Stream stream);

// mean[0] = the mean of `count` numbers. One block: for the scales of one weight.
Error nf4_mean(float* mean, const float* values, std::int64_t count, Stream stream);

Error nf4_quantize_scales(std::uint8_t* quantized, float* scale, const float* absmax,
                          const float* code, const float* offset, std::int64_t blocks,
                          Stream stream);

template <class T>
Error nf4_dequantize(T* weight, const std::uint8_t* packed, const Nf4Scales& scales,
                     std::int64_t count, int block, Stream stream);

// The same by plain loops on the host, in float: this is a format, so equality is bit for bit.
template <class T>
void nf4_quantize_reference(std::uint8_t* packed, float* absmax, const T* weight,
                            std::int64_t count);
void nf4_quantize_scales_reference(std::uint8_t* quantized, float* scale, const float* absmax,
                                   const float* code, float offset, std::int64_t blocks);
template <class T>
void nf4_dequantize_reference(T* weight, const std::uint8_t* packed, const Nf4Scales& scales,
                              std::int64_t count, int block);

}  // namespace mayfly::cuda
