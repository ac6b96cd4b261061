// RMSNorm, with the addition to the residual stream before it, and its gradient.
//
//   s = x + residual                       (rounded to T; s = x without a residual)
//   r = 1 / sqrt(mean over a row of s² + eps)
//   y = w · round(s · r)                   Llama, Qwen: rounded to T before the weight
//   y = s · r · (1 + w)                    Gemma: all in float
//
//   m = w · dy                             (Llama: rounded to T, as autograd does)
//   dx = r · (m - s · r² · mean(m · s)) + dresidual
//
// Source   Zhang and Sennrich 2019, arXiv:1910.07467; the rounding is that of transformers'
//          LlamaRMSNorm and GemmaRMSNorm. The sums for the gradient are taken again from s, so that
//          nothing of the forward pass but s is kept.
// Shapes   x, residual, s, y, dy, dx (rows, cols), contiguous; w (cols), frozen.
// Types    T: float, Bf16, Fp16; sums and r in float.
// Bytes    forward 4 · sizeof(T) an element with a residual, 2 without; backward 4 with, 3 without;
//          and the weight once.
// Paths    rows of up to 2048 packs of 16 bytes (16,384 bf16), aligned: a row stays in registers.
//          Any other row is read twice, one element at a time.
// Errors   the launch's; what goes wrong in the kernel shows at the next synchronisation.
#pragma once

#include <cstdint>

#include "cuda/number.h"
#include "cuda/stream.h"

namespace mayfly::cuda {

struct RmsNormForm {
  std::int64_t rows = 0;
  std::int64_t cols = 1;
  float eps = 1e-6f;
  bool one_plus = false;  // Gemma
};

// `residual` may be null, then `s` is not written. `y` or `s` may be `x` or `residual`.
template <class T>
Error rms_norm(T* y, T* s, const T* x, const T* residual, const T* weight, const RmsNormForm& form,
               Stream stream);

// `dresidual` may be null. `dx` may be `dy` or `dresidual`.
template <class T>
Error rms_norm_backward(T* dx, const T* dy, const T* s, const T* weight, const T* dresidual,
                        const RmsNormForm& form, Stream stream);

// The same in double on the host. Of roundings to T only those that the formula names: of s, of
// s · r and of m.
template <class T>
void rms_norm_reference(double* y, double* s, const T* x, const T* residual, const T* weight,
                        const RmsNormForm& form);
template <class T>
void rms_norm_backward_reference(double* dx, const T* dy, const T* s, const T* weight,
                                 const T* dresidual, const RmsNormForm& form);

}  // namespace mayfly::cuda
