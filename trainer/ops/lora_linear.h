// Linear layers that share one input, frozen, with an adapter each:
//
//   y_i = x W_iᵀ + b_i + scale · P_i B_iᵀ,   P_i = dropout(x) A_iᵀ
//
// or, with magnitudes m_i (DoRA), of which c_i = m_i / ‖W_i + scale B_i A_i‖ is told, row by row,
//
//   y_i = x W_iᵀ + b_i + (c_i - 1) ⊙ dropout(x) W_iᵀ + c_i ⊙ scale · P_i B_iᵀ
//
// as one node with a hand-written backward pass. The products with A of all of them are one
// product, as are those that go back through it; y and dx are accumulated in place, nothing of the
// size of y is made twice. Frozen weights get no gradient; quantised ones are restored one at a
// time, each right before its product, forward and backward.
//
//   Q_i = dy_i B_i      dB_i += scale · dy_iᵀ P_i      dA_i += scale · Q_iᵀ dropout(x)
//   dx  = Σ dy_i W_i + scale · dropout'(Q_i A_i)
//
// With magnitudes Q_i and dB_i are of c_i ⊙ dy_i, dx has dropout'((c_i - 1) ⊙ dy_i W_i) more, and
//
//   dm_i += Σ_N dy_i ⊙ u_i / ‖W_i + scale B_i A_i‖,  u_i = dropout(x) W_iᵀ + scale · P_i B_iᵀ,
//
// u being made again: one product with W more. The norm is taken for a constant, as in the paper.
//
// Shapes   x (N, in), W_i (out_i, in), y_i (N, out_i), A (n·R, in): the A_i one below the other,
//          B_i (out_i, R), P (N, n·R).
// Types    x, y, W, A, B, P: the type of computing. Gradients of A and B: float32, added to.
// Source   Unsloth's fast_lora has the same order of products (never anything of the size of W).
//          DoRA: Liu et al. 2024, arXiv:2402.09353, section 4.3; with dropout as peft 0.21.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "trainer/ops/frozen_weight.h"

namespace mayfly {

// Adapters of the linear layers of one group; tensors are views of LoraAdapter's buffers.
struct LoraGroup {
  at::Tensor A, A_gradient;               // stacked; undefined when no layer has an adapter
  std::vector<at::Tensor> B, B_gradient;  // one a layer; undefined where it has none
  double scale = 1.0;
  // DoRA's, one a layer as B; empty without it. c (out) in the type of computing, the norm float32.
  std::vector<at::Tensor> c, row_norm, magnitude_gradient;

  bool empty() const {
    return !A.defined();
  }
  bool has_magnitudes() const {
    return !c.empty();
  }
};

// Which share of an adapter's inputs is set to zero, and the seed of this one mask. The same seed
// gives the same mask, so the backward pass makes it again instead of keeping it.
struct Dropout {
  double share = 0.0;
  std::uint64_t seed = 0;
};

struct LoraLinearForward {
  std::vector<at::Tensor> y;
  at::Tensor P;  // for the backward pass
};

LoraLinearForward lora_linear(const at::Tensor& x, const std::vector<FrozenWeight>& weights,
                              const LoraGroup& adapters, const Dropout& dropout);

// The way back, first half: adds to the gradients of B. It does not need x, which may be made again
// out of dx (glu.h). `needs_dx` false: dx stays undefined.
struct LoraLinearBackward {
  at::Tensor dx;
  at::Tensor Q;  // (N, n·R); undefined without adapters
};
LoraLinearBackward lora_linear_backward(const std::vector<at::Tensor>& dy, const at::Tensor& P,
                                        const std::vector<FrozenWeight>& weights,
                                        const LoraGroup& adapters, const Dropout& dropout,
                                        bool needs_dx);

// The second half: adds to the gradient of A.
void add_A_gradient(const at::Tensor& Q, const at::Tensor& x, const LoraGroup& adapters,
                    const Dropout& dropout);
// And to those of the magnitudes, which there are; `dy` as it went into the first half.
void add_magnitude_gradient(const std::vector<at::Tensor>& dy, const at::Tensor& P,
                            const at::Tensor& x, const std::vector<FrozenWeight>& weights,
                            const LoraGroup& adapters, const Dropout& dropout);

}  // namespace mayfly
