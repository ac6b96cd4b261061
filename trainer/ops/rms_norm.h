// RMSNorm over the last dimension, r = 1 / sqrt(mean(x²) + eps):
//
//   y = w · round(x · r)
//   y = round(x · r · (1 + w))     with `one_plus` (Gemma)
//
// Shapes   x, y (N, D), weight (D).
// Types    x, y, weight: the type of computing; the sum and r in float32. x · r is rounded to the
//          type of computing before it is multiplied by w, as transformers' LlamaRMSNorm does (the
//          op of libtorch rounds once and differs in a quarter of all bf16 outputs); with
//          `one_plus` once at the end, as its GemmaRMSNorm does.
// Source   Zhang and Sennrich 2019, arXiv:1910.07467.
#pragma once

#include <ATen/core/Tensor.h>

namespace mayfly {

struct NormForm {
  double eps = 1e-6;
  bool one_plus = false;
};

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, const NormForm& form);

// x becomes x + residual, in place and rounded, and is then normed: one pass over memory where
// there is a kernel.
at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                        const NormForm& form);

// Adds the gradient to `dx`, in place (the residual stream's gradient is there already). The weight
// is frozen. With m = w · dy, or (1 + w) · dy:  dx += r · (m - x · r² · mean(m · x)).
void rms_norm_backward(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x,
                       const at::Tensor& weight, const NormForm& form);

}  // namespace mayfly
