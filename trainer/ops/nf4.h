// A frozen weight in four bits (QLoRA), and the weight made of it again.
//
// The format is that of cuda/nf4.h, which is bitsandbytes'. On the CPU, quantising reads the weight
// once and restoring writes it once, in several threads; the bits do not depend on how many.
//
// Types    weight float32 or bfloat16 (on a GPU float16 too); packed, quantized uint8; all else
//          float32.
// Memory   0.516 B a weight with `quantized` scales, 0.5625 without.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "cuda/nf4_code.h"

namespace mayfly {

struct Nf4Weight {
  std::int64_t rows = 0, columns = 0;
  std::int64_t block = 64;  // weights that share a scale: a power of two from 32 to 4096
  at::Tensor packed{};      // (packed_bytes): two weights a byte, the first high
  at::Tensor absmax{};      // (blocks); undefined where the scales are quantised
  at::Tensor quantized{};   // (blocks)
  at::Tensor scale{};       // (scale_groups): 256 blocks each
  at::Tensor code{};        // (256), ascending
  at::Tensor offset{};      // (1)

  std::int64_t count() const {
    return rows * columns;
  }
  std::int64_t blocks() const {
    return (count() + block - 1) / block;
  }
  std::int64_t packed_bytes() const {
    return (count() + 1) / 2;
  }
  std::int64_t scale_groups() const {
    return (blocks() + cuda::kNf4ScaleBlock - 1) / cuda::kNf4ScaleBlock;
  }
  // Of all tensors above.
  std::int64_t bytes() const;
  // With all tensors on `device`.
  Nf4Weight to(at::Device device) const;
};

// `weight` (rows, columns), contiguous. With `double_quant` the scales are quantised too.
Nf4Weight nf4_quantize(const at::Tensor& weight, bool double_quant);

// Writes the weight into `out` (rows, columns), contiguous, of the weight's device.
void nf4_restore(const Nf4Weight& weight, const at::Tensor& out);

}  // namespace mayfly
