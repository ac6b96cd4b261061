// Output head and cross entropy together, slice by slice, so that the logits of all rows never
// exist at once: a slice's logits become its gradient and are gone before the next.
//
//   loss = Σ_s logsumexp(h_s Wᵀ) - (h_s Wᵀ)[target_s]        dh_s = scale · (softmax - onehot) W
//
// With a soft cap c, c · tanh(logit / c) in place of each logit (Gemma 2), rounded after each of
// the three steps as transformers does; on a GPU with kernels once.
//
// The head is frozen: no gradient of W. The gradient is made with the loss, not after it.
//
// Shapes   hidden (S, D): only rows that count; head (V, D); targets (S) int64.
// Types    hidden, head, dh: the type of computing; logits rounded to it and then in float32, as in
//          transformers; the sum over rows in double.
// Memory   at most kLogitBytes of logits at once; on a GPU kGpuLogitBytes, since fewer than a
//          thousand rows leave its matrix units idle.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace mayfly {

inline constexpr std::int64_t kLogitBytes = 32 << 20;
inline constexpr std::int64_t kGpuLogitBytes = 256 << 20;

struct LossForm {
  double scale = 1.0;     // of the gradient
  double soft_cap = 0.0;  // 0: none
};

// Sum of the losses.
double cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                     const LossForm& form = {});

struct CrossEntropyGradient {
  double loss = 0;
  at::Tensor dhidden;  // (S, D): the gradient of scale · loss
};
CrossEntropyGradient cross_entropy_with_gradient(const at::Tensor& hidden, const at::Tensor& head,
                                                 const at::Tensor& targets, const LossForm& form);

}  // namespace mayfly
