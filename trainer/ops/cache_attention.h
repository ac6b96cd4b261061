// Attention of the newest rows of a text to all of it, without a gradient: one step of generating.
//
// Shapes   q (n, H, E): the last n of the L rows that k and v (L, K, E) have; n is 1 or L. Result
//          (n, H E).
// The arithmetic is that of attention.h; `form.backend` does not matter.
#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/ops/attention.h"

namespace mayfly {

at::Tensor cache_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const AttentionForm& form);

}  // namespace mayfly
