#include "trainer/nn/block_parts.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/square.h>
#include <ATen/ops/zeros_like.h>

#include "trainer/ops/gate_activation.h"
#include "trainer/ops/glu.h"
#include "trainer/ops/soft_cap.h"

namespace mayfly {

namespace {

// Columns of `x` from `first`, by themselves.
at::Tensor columns(const at::Tensor& x, std::int64_t first, std::int64_t count) {
  return x.narrow(1, first, count).contiguous();
}

at::Tensor rows_as_wide_as(const at::Tensor& weight, const at::Tensor& x) {
  return x.view({-1, weight.size(0)});
}

at::Tensor in_one_row(const at::Tensor& x) {
  return x.reshape({x.size(0), -1});
}

GateActivation gate_activation(const Architecture& architecture) {
  return architecture.activation == Activation::silu ? GateActivation::silu
                                                     : GateActivation::gelu_tanh;
}

}  // namespace

Heads heads_of(const Architecture& architecture, const std::vector<at::Tensor>& outputs) {
  const std::int64_t queries = architecture.query_width(), keys = architecture.kv_width();
  const auto split = [&](const at::Tensor& x) {
    return x.view({x.size(0), -1, architecture.head_width});
  };
  if (!architecture.fused_projections) {
    return {split(outputs[0]), split(outputs[1]), split(outputs[2])};
  }
  return {split(columns(outputs[0], 0, queries)), split(columns(outputs[0], queries, keys)),
          split(columns(outputs[0], queries + keys, keys))};
}

std::vector<at::Tensor> joined(const Architecture& architecture, const Heads& gradients) {
  std::vector<at::Tensor> each = {in_one_row(gradients.q), in_one_row(gradients.k),
                                  in_one_row(gradients.v)};
  if (!architecture.fused_projections) return each;
  return {at::cat(each, 1)};
}

GateUp gate_up_of(const Architecture& architecture, const std::vector<at::Tensor>& outputs) {
  if (!architecture.has_gate) return {outputs[0], {}};
  if (!architecture.fused_projections) return {outputs[0], outputs[1]};
  const std::int64_t width = architecture.ff_width;
  return {columns(outputs[0], 0, width), columns(outputs[0], width, width)};
}

std::vector<at::Tensor> joined(const Architecture& architecture, const GateUp& gradients) {
  if (!architecture.has_gate) return {gradients.gate};
  if (!architecture.fused_projections) return {gradients.gate, gradients.up};
  return {at::cat({gradients.gate, gradients.up}, 1)};
}

at::Tensor activated(const Architecture& architecture, const GateUp& both) {
  if (!architecture.has_gate) return at::relu(both.gate).square_();
  return glu(both.gate, both.up, gate_activation(architecture));
}

void activated_backward(const Architecture& architecture, const GateUp& both,
                        const at::Tensor& dh) {
  if (architecture.has_gate) {
    return glu_backward(both.gate, both.up, dh, gate_activation(architecture));
  }
  // The slope of relu(x)² is 2 relu(x).
  const at::Tensor positive = at::relu(both.gate);
  at::mul_out(const_cast<at::Tensor&>(both.gate), dh, positive).mul_(2);
  at::square_out(const_cast<at::Tensor&>(dh), positive);
}

at::Tensor norm_heads(const at::Tensor& x, const at::Tensor& weight, const NormForm& form) {
  return rms_norm(rows_as_wide_as(weight, x), weight, form).view(x.sizes());
}

at::Tensor norm_heads_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                               const NormForm& form) {
  at::Tensor dx = at::zeros_like(x);
  rms_norm_backward(rows_as_wide_as(weight, dx), rows_as_wide_as(weight, dy),
                    rows_as_wide_as(weight, x), weight, form);
  return dx;
}

NormForm norm_form(const Architecture& architecture) {
  return {.eps = architecture.norm_eps, .one_plus = architecture.one_plus_norms};
}

AttentionForm attention_form(const Architecture& architecture, std::int64_t layer) {
  return {.scale = architecture.attention_scale,
          .window = architecture.choice(layer).window,
          .soft_cap = architecture.soft_caps.attention};
}

at::Tensor embedded(const Architecture& architecture, const at::Tensor& embedding,
                    const at::Tensor& tokens) {
  at::Tensor x = at::embedding(embedding, tokens);
  if (architecture.norms_embedding) {
    x = rms_norm(x, at::ones({x.size(1)}, x.options()), norm_form(architecture));
  }
  const Multipliers& factors = architecture.multipliers;
  if (factors.embedding == 1.0) return x;
  if (!factors.embedding_is_rounded) return x.mul_(factors.embedding);
  return x.mul_(at::scalar_tensor(factors.embedding, at::kDouble).to(x.scalar_type()).item());
}

at::Tensor logits_of(const Architecture& architecture, const at::Tensor& normed,
                     const at::Tensor& head) {
  const at::Tensor logits = at::mm(normed, head.t());
  soft_cap(logits, architecture.soft_caps.logits);
  return logits.to(at::kFloat);
}

}  // namespace mayfly
