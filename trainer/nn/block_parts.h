// What stands between the products of a block: the same for training and for generating. A family's
// choices are read here and in the two that use it, nowhere else.
//
// Shapes as in transformer.h. Outputs of products are as projections_of() lists them: q, k, v or
// one tensor with all three side by side; gate, up or both in one.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "core/model/architecture.h"
#include "trainer/ops/attention.h"
#include "trainer/ops/rms_norm.h"

namespace mayfly {

struct Heads {
  at::Tensor q, k, v;  // (N, H or K, E), contiguous; may share memory with the outputs
};
Heads heads_of(const Architecture& architecture, const std::vector<at::Tensor>& outputs);
// The way back: gradients of the outputs from those of the heads.
std::vector<at::Tensor> joined(const Architecture& architecture, const Heads& gradients);

struct GateUp {
  // (N, F), contiguous; may share memory with the outputs. Without a gate `up` is undefined, and
  // `gate` is what the activation is applied to.
  at::Tensor gate, up;
};
GateUp gate_up_of(const Architecture& architecture, const std::vector<at::Tensor>& outputs);
std::vector<at::Tensor> joined(const Architecture& architecture, const GateUp& gradients);

// What goes into the half's last product.
at::Tensor activated(const Architecture& architecture, const GateUp& both);
// In place: gate and up become their gradients, and `dh`, the gradient of the result, the result.
void activated_backward(const Architecture& architecture, const GateUp& both, const at::Tensor& dh);

// RMSNorm of x (N, heads, E), of each head or of all together as `weight` is wide. A new tensor.
at::Tensor norm_heads(const at::Tensor& x, const at::Tensor& weight, const NormForm& form);
// The gradient of x from that of the result.
at::Tensor norm_heads_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                               const NormForm& form);

NormForm norm_form(const Architecture& architecture);
// Of a layer; its backend is for the caller to choose.
AttentionForm attention_form(const Architecture& architecture, std::int64_t layer);

// What goes into the first block: the embedding's rows (N, D), scaled or normed
// where the family does that.
at::Tensor embedded(const Architecture& architecture, const at::Tensor& embedding,
                    const at::Tensor& tokens);
// Logits (rows, V) in float32 of what the final norm gave, capped where the family caps them.
at::Tensor logits_of(const Architecture& architecture, const at::Tensor& normed,
                     const at::Tensor& head);

}  // namespace mayfly
