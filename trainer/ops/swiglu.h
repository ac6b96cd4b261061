// SwiGLU:  h = round(silu(e)) · g,  silu(e) = e · σ(e), elementwise.
//
// Shapes   e (gate), g (up), h and all gradients (N, F).
// Types    the type of computing, arithmetic in float32; silu(e) is rounded to the type of
//          computing before the product, as in transformers.
// Source   Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202.
#pragma once

#include <ATen/core/Tensor.h>

namespace mayfly {

at::Tensor swiglu(const at::Tensor& e, const at::Tensor& g);

// In place: e becomes de, g becomes dg, and dh becomes h, which the gradient of the next product's
// adapter needs. So the backward pass of a feed-forward layer takes no room of its own.
//   de = dh · g · σ(e) (1 + e (1 - σ(e))),  dg = dh · silu(e),  h = round(silu(e)) · g
void swiglu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh);

}  // namespace mayfly
