// The loops of NF4 on the CPU: blocks of weights to four bits and back, a range of blocks at a
// time, so that the ops split the blocks among threads. Raw pointers, no tensors.
//
// The format and its roundings are those of cuda/nf4.h, bit for bit (tests/trainer/ops/nf4_test.cpp
// holds one against the other). Compiled as row_kernels.cpp is.
#pragma once

#include <cstdint>

#include "trainer/ops/row_kernels.h"

namespace mayfly::nf4_rows {

// Quantises blocks of 64, `count` weights in all: packed gets (count + 1) / 2 bytes, absmax one
// number a block. REQUIRES: weight begins at a block.
void quantize(std::uint8_t* packed, float* absmax, const float* weight, std::int64_t count);
void quantize(std::uint8_t* packed, float* absmax, const Bf16* weight, std::int64_t count);

// Quantises one block of at most 256 scales; returns its own scale. `code` (256) ascends.
float quantize_scales(std::uint8_t* quantized, const float* absmax, const float* code, float offset,
                      std::int64_t count);

// weight[i] = round(code[q_i] · absmax[i / block]), for `count` weights from the start of a block;
// `block` is even.
void restore(float* weight, const std::uint8_t* packed, const float* absmax, std::int64_t count,
             std::int64_t block);
void restore(Bf16* weight, const std::uint8_t* packed, const float* absmax, std::int64_t count,
             std::int64_t block);

}  // namespace mayfly::nf4_rows
