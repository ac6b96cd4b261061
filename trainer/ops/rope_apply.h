// Turns the pairs (i, i + R/2) of the first R elements of each head of q and k by their position's
// angle, in place; what is behind them stays:
//
//   a' = a cos - b sin,  b' = b cos + a sin;  backward: by the opposite angle.
//
// Shapes   q (N, H, E), k (N, K, E) contiguous; cosine, sine (N, R/2), R <= E.
// Types    all in the type of computing; products and sums rounded to it once.
#pragma once

#include <ATen/core/Tensor.h>

namespace mayfly {

enum class Turn { forward, backward };

void rope_apply(const at::Tensor& q, const at::Tensor& k, const at::Tensor& cosine,
                const at::Tensor& sine, Turn turn);

}  // namespace mayfly
