// Turns the pairs (i, i + E/2) of each head by their position's angle, in place:
//
//   a' = a cos - b sin,  b' = b cos + a sin;  backward: by the opposite angle.
//
// Shapes   x (N, heads, E) contiguous; cosine, sine (N, E/2).
// Types    all in the type of computing; products and sums rounded to it once.
#pragma once

#include <ATen/core/Tensor.h>

namespace mayfly {

enum class Turn { forward, backward };

void rope_apply(const at::Tensor& x, const at::Tensor& cosine, const at::Tensor& sine, Turn turn);

}  // namespace mayfly
