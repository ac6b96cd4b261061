// The gated unit of a feed-forward layer:  h = round(act(e)) · g, elementwise.
//
//   SwiGLU  act(e) = e · σ(e)
//   GeGLU   act(e) = e · σ(2 u), u = sqrt(2 / π) (e + 0.044715 e³), which is e (1 + tanh u) / 2
//
// Shapes   e (gate), g (up), h and all gradients (N, F).
// Types    the type of computing, arithmetic in float32; act(e) is rounded to the type of
//          computing before the product, as in transformers.
// Source   Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202; Hendrycks and Gimpel
//          2016, arXiv:1606.08415.
#pragma once

#include <ATen/core/Tensor.h>

#include "trainer/ops/gate_activation.h"

namespace mayfly {

at::Tensor glu(const at::Tensor& e, const at::Tensor& g, GateActivation activation);

// In place: e becomes de, g becomes dg, and dh becomes h, which the gradient of the next product's
// adapter needs. So the backward pass of a feed-forward layer takes no room of its own.
//   de = dh · g · act'(e),  dg = dh · act(e),  h = round(act(e)) · g
void glu_backward(const at::Tensor& e, const at::Tensor& g, const at::Tensor& dh,
                  GateActivation activation);

}  // namespace mayfly
