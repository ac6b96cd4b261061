// One tensor as a GGUF file has it: the order of its rows, and its numbers in the file's type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "core/model/gguf.h"

namespace mayfly {

// llama.cpp turns neighbouring numbers of a head where transformers turns one of each half: rows
// (heads, 2, E/2) of a query or key weight become (heads, E/2, 2).
at::Tensor rows_for_neighbours(const at::Tensor& weight, std::int64_t heads);

// The bytes of `value` (any floating type, contiguous or not) in `type`. q8_0: of each 32 numbers
// one scale d = (largest absolute value) / 127, in f16, and 32 bytes round(x / d), halves away from
// zero, as ggml's quantize_row_q8_0_ref.
std::vector<std::byte> gguf_numbers(const at::Tensor& value, GgufType type);

}  // namespace mayfly
