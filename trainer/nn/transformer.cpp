#include "trainer/nn/transformer.h"

#include <array>
#include <utility>

#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros_like.h>

#include "trainer/nn/block_parts.h"
#include "trainer/ops/attention.h"
#include "trainer/ops/cross_entropy.h"
#include "trainer/ops/glu.h"
#include "trainer/ops/lora_linear.h"
#include "trainer/ops/random.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope_apply.h"

namespace mayfly {

namespace {

// What the backward pass of a block needs of its forward pass. Norms and gated units are made
// again.
struct BlockState {
  at::Tensor x;               // (N, D) into the block
  at::Tensor q_raw, k_raw;    // before their norm; undefined without one
  at::Tensor q, k, v;         // (N, H or K, E), turned
  AttentionForward attended;  // out (N, H, E)
  // (N, D), what each half gave before its norm; undefined without one
  at::Tensor attention_half, feed_forward_half;
  at::Tensor middle;                              // (N, D) between attention and feed-forward
  at::Tensor gate, up;                            // (N, F)
  std::array<at::Tensor, kInputGroups.size()> P;  // of the adapters, (N, n·R)
};

// One pass over the blocks: what does not change from block to block, and the steps of a block.
class Pass {
 public:
  Pass(const Transformer& model, const PackedBatch& batch, const LoraAdapter* adapter,
       double dropout_share, std::uint64_t dropout_seed)
      : model_(model),
        architecture_(model.architecture()),
        batch_(batch),
        adapter_(adapter),
        dropout_share_(dropout_share),
        dropout_seed_(dropout_seed),
        ropes_(model.rope().rows(batch.positions, batch.starts)),
        norms_(norm_form(architecture_)),
        longest_(batch.longest()) {}

  at::Tensor first_input() const {
    return embedded(architecture_, model_.weights().embedding, batch_.tokens);
  }

  // What the head takes. The divisor of the logits is applied here: there are fewer columns.
  at::Tensor final_norm(const at::Tensor& x) const {
    return times(rms_norm(x, model_.weights().final_norm, norms_),
                 1.0 / architecture_.multipliers.logits_divisor);
  }
  // The gradient of x from that of final_norm(x), which is used up.
  at::Tensor final_norm_backward(const at::Tensor& dy, const at::Tensor& x) const {
    at::Tensor dx = at::zeros_like(x);
    rms_norm_backward(dx, times(dy, 1.0 / architecture_.multipliers.logits_divisor), x,
                      model_.weights().final_norm, norms_);
    return dx;
  }

  // Fills `state` and returns what goes into the next block.
  at::Tensor forward(std::int64_t layer, const at::Tensor& x, BlockState& state) const;
  // Lets go of what `checkpointing` says is made again.
  void let_go(Checkpointing checkpointing, BlockState& state) const;
  // Turns `dx`, the gradient of what forward returned, into that of x, in place; adds to the
  // adapter's gradients. With `needs_dx` false dx is garbage afterwards.
  void backward(std::int64_t layer, const at::Tensor& dx, BlockState& state, bool needs_dx) const;

 private:
  // The two halves of forward: attend returns what gate takes; gate goes up to the last product.
  at::Tensor attend(std::int64_t layer, BlockState& state) const;
  void gate(std::int64_t layer, const at::Tensor& input, BlockState& state) const;
  // From the gradient of what attention gave to those of q, k and v as the products gave them.
  Heads heads_backward(std::int64_t layer, const at::Tensor& dout, const BlockState& state) const;

  // Queries and keys by their positions, in place.
  void turn(std::int64_t layer, const at::Tensor& q, const at::Tensor& k, Turn direction) const {
    const LayerChoice choice = architecture_.choice(layer);
    if (!choice.has_rope) return;
    const RopeRows& rope = ropes_.of(choice);
    rope_apply(q, k, rope.cosine, rope.sine, direction);
  }
  const BlockWeights& block(std::int64_t layer) const {
    return model_.weights().blocks[static_cast<std::size_t>(layer)];
  }
  // x itself where there is nothing to multiply by; else in place.
  static at::Tensor times(at::Tensor x, double factor) {
    return factor == 1.0 ? x : x.mul_(factor);
  }
  AttentionForm form(std::int64_t layer) const {
    AttentionForm form = attention_form(architecture_, layer);
    form.backend =
        attention_backend(model_.weights().embedding, architecture_.head_width, longest_, form);
    return form;
  }
  // What goes into the products of a half, from the residual stream before it.
  at::Tensor half_input(const at::Tensor& x, const HalfNorms& norms) const {
    return norms.before.defined() ? rms_norm(x, norms.before, norms_) : x;
  }
  // What a half adds to the residual stream, from what its products gave, in place if it can be.
  at::Tensor half_output(const at::Tensor& half, const HalfNorms& norms) const {
    return times(norms.behind.defined() ? rms_norm(half, norms.behind, norms_) : half,
                 architecture_.multipliers.residual);
  }
  // The gradient of what a half gave, from `dx`, that of its sum with the residual stream.
  at::Tensor half_backward(const at::Tensor& dx, const at::Tensor& half,
                           const HalfNorms& norms) const {
    const double factor = architecture_.multipliers.residual;
    const at::Tensor dy = factor == 1.0 ? dx : dx.mul(factor);
    if (!norms.behind.defined()) return dy;
    at::Tensor dhalf = at::zeros_like(half);
    rms_norm_backward(dhalf, dy, half, norms.behind, norms_);
    return dhalf;
  }
  // Adds the gradient that comes back through a half's input to that of the residual stream.
  void input_backward(const at::Tensor& dx, const at::Tensor& dinput, const at::Tensor& x,
                      const HalfNorms& norms) const {
    if (!norms.before.defined()) {
      dx.add_(dinput);
      return;
    }
    rms_norm_backward(dx, dinput, x, norms.before, norms_);
  }
  std::vector<FrozenWeight> weights(std::int64_t layer, InputGroup group) const {
    std::vector<FrozenWeight> result;
    for (const Projection projection : projections_of(architecture_, group)) {
      result.push_back(block(layer)[projection]);
    }
    return result;
  }
  const LoraGroup& adapters(std::int64_t layer, InputGroup group) const {
    static const LoraGroup none;
    return adapter_ == nullptr ? none : adapter_->group(layer, group);
  }
  Dropout dropout(std::int64_t layer, InputGroup group) const {
    const auto place =
        static_cast<std::uint64_t>(layer) * kInputGroups.size() + static_cast<std::uint64_t>(group);
    return {dropout_share_, derive_seed(dropout_seed_, place)};
  }

  std::vector<at::Tensor> linear(std::int64_t layer, InputGroup group, const at::Tensor& x,
                                 BlockState& state) const {
    LoraLinearForward result =
        lora_linear(x, weights(layer, group), adapters(layer, group), dropout(layer, group));
    state.P[static_cast<std::size_t>(group)] = result.P;
    return std::move(result.y);
  }
  LoraLinearBackward linear_backward(std::int64_t layer, InputGroup group,
                                     const std::vector<at::Tensor>& dy, const BlockState& state,
                                     bool needs_dx = true) const {
    return lora_linear_backward(dy, state.P[static_cast<std::size_t>(group)], weights(layer, group),
                                adapters(layer, group), dropout(layer, group), needs_dx);
  }
  // The second half, with x as it went into the products and `dy` as it went into the first.
  void linear_x_backward(std::int64_t layer, InputGroup group, const std::vector<at::Tensor>& dy,
                         const at::Tensor& Q, const at::Tensor& x, const BlockState& state) const {
    const LoraGroup& adapted = adapters(layer, group);
    const Dropout dropped = dropout(layer, group);
    add_A_gradient(Q, x, adapted, dropped);
    if (!adapted.has_magnitudes()) return;
    add_magnitude_gradient(dy, state.P[static_cast<std::size_t>(group)], x, weights(layer, group),
                           adapted, dropped);
  }
  // (N, heads·E) seen as (N, heads, E).
  at::Tensor split_heads(const at::Tensor& x) const {
    return x.view({x.size(0), -1, architecture_.head_width});
  }
  at::Tensor join_heads(const at::Tensor& x) const {
    return x.view({x.size(0), -1});
  }

  const Transformer& model_;
  const Architecture& architecture_;
  const PackedBatch& batch_;
  const LoraAdapter* adapter_;
  double dropout_share_;
  std::uint64_t dropout_seed_;
  LayerRopes ropes_;
  NormForm norms_;
  std::int64_t longest_;
};

at::Tensor Pass::attend(std::int64_t layer, BlockState& state) const {
  const BlockWeights& kept = block(layer);
  const at::Tensor input = half_input(state.x, kept.attention_norms);
  const auto outputs = linear(layer, InputGroup::attention_in, input, state);
  Heads heads = heads_of(architecture_, outputs);
  if (architecture_.norms_after_rope) turn(layer, heads.q, heads.k, Turn::forward);
  if (kept.query_norm.defined()) {
    state.q_raw = heads.q;
    state.k_raw = heads.k;
    heads.q = norm_heads(state.q_raw, kept.query_norm, norms_);
    heads.k = norm_heads(state.k_raw, kept.key_norm, norms_);
  }
  state.q = heads.q;
  state.k = heads.k;
  state.v = heads.v;
  if (!architecture_.norms_after_rope) turn(layer, state.q, state.k, Turn::forward);
  state.attended = attention(state.q, state.k, state.v, batch_.starts, form(layer));
  const at::Tensor out = join_heads(state.attended.out);
  const at::Tensor half = linear(layer, InputGroup::attention_out, out, state)[0];
  if (!kept.attention_norms.behind.defined() && kept.feed_forward_norms.before.defined()) {
    state.middle = times(half, architecture_.multipliers.residual);
    // The residual stream's sum and its norm in one pass.
    return add_rms_norm(state.middle, state.x, kept.feed_forward_norms.before, norms_);
  }
  if (kept.attention_norms.behind.defined()) state.attention_half = half;
  state.middle = half_output(half, kept.attention_norms).add_(state.x);
  return half_input(state.middle, kept.feed_forward_norms);
}

void Pass::gate(std::int64_t layer, const at::Tensor& input, BlockState& state) const {
  const GateUp both = gate_up_of(architecture_, linear(layer, InputGroup::mlp_in, input, state));
  state.gate = both.gate;
  state.up = both.up;
}

at::Tensor Pass::forward(std::int64_t layer, const at::Tensor& x, BlockState& state) const {
  state.x = x;
  gate(layer, attend(layer, state), state);
  const at::Tensor inner = activated(architecture_, {state.gate, state.up});
  const at::Tensor half = linear(layer, InputGroup::mlp_out, inner, state)[0];
  const HalfNorms& norms = block(layer).feed_forward_norms;
  if (norms.behind.defined()) state.feed_forward_half = half;
  return half_output(half, norms).add_(state.middle);
}

void Pass::let_go(Checkpointing checkpointing, BlockState& state) const {
  if (checkpointing == Checkpointing::off) return;
  for (at::Tensor* const made_again : {&state.gate, &state.up}) made_again->reset();
  if (checkpointing == Checkpointing::feed_forward) return;
  for (at::Tensor* const made_again : {&state.q_raw, &state.k_raw, &state.q, &state.k, &state.v,
                                       &state.attention_half, &state.middle}) {
    made_again->reset();
  }
  state.attended = {};
}

void Pass::backward(std::int64_t layer, const at::Tensor& dx, BlockState& state,
                    bool needs_dx) const {
  const BlockWeights& kept = block(layer);
  if (!state.middle.defined()) {
    gate(layer, attend(layer, state), state);
  } else if (!state.gate.defined()) {
    gate(layer, half_input(state.middle, kept.feed_forward_norms), state);
  }
  {
    const at::Tensor dhalf = half_backward(dx, state.feed_forward_half, kept.feed_forward_norms);
    const auto down = linear_backward(layer, InputGroup::mlp_out, {dhalf}, state);
    // In place: gate and up are their own gradients now, and down.dx is what went into `down`.
    activated_backward(architecture_, {state.gate, state.up}, down.dx);
    linear_x_backward(layer, InputGroup::mlp_out, {dhalf}, down.Q, down.dx, state);
  }
  {
    const auto dboth = joined(architecture_, GateUp{state.gate, state.up});
    const auto in = linear_backward(layer, InputGroup::mlp_in, dboth, state);
    linear_x_backward(layer, InputGroup::mlp_in, dboth, in.Q,
                      half_input(state.middle, kept.feed_forward_norms), state);
    input_backward(dx, in.dx, state.middle, kept.feed_forward_norms);
  }
  LoraLinearBackward out;
  {
    const at::Tensor dhalf = half_backward(dx, state.attention_half, kept.attention_norms);
    out = linear_backward(layer, InputGroup::attention_out, {dhalf}, state);
    linear_x_backward(layer, InputGroup::attention_out, {dhalf}, out.Q,
                      join_heads(state.attended.out), state);
  }
  const auto dheads = joined(architecture_, heads_backward(layer, split_heads(out.dx), state));
  const auto in = linear_backward(layer, InputGroup::attention_in, dheads, state, needs_dx);
  linear_x_backward(layer, InputGroup::attention_in, dheads, in.Q,
                    half_input(state.x, kept.attention_norms), state);
  if (needs_dx) input_backward(dx, in.dx, state.x, kept.attention_norms);
}

Heads Pass::heads_backward(std::int64_t layer, const at::Tensor& dout,
                           const BlockState& state) const {
  auto [dq, dk, dv] = attention_backward(dout, state.q, state.k, state.v, state.attended,
                                         batch_.starts, form(layer));
  if (!architecture_.norms_after_rope) turn(layer, dq, dk, Turn::backward);
  if (state.q_raw.defined()) {
    dq = norm_heads_backward(dq, state.q_raw, block(layer).query_norm, norms_);
    dk = norm_heads_backward(dk, state.k_raw, block(layer).key_norm, norms_);
  }
  if (architecture_.norms_after_rope) turn(layer, dq, dk, Turn::backward);
  return {dq, dk, dv};
}

// Through all blocks, without keeping anything.
at::Tensor hidden_states(const Pass& pass, std::int64_t layers) {
  at::Tensor x = pass.first_input();
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    BlockState state;
    x = pass.forward(layer, x, state);
  }
  return x;
}

}  // namespace

Transformer::Transformer(Architecture architecture, DecoderWeights weights)
    : architecture_(std::move(architecture)),
      weights_(std::move(weights)),
      rope_(architecture_, weights_.embedding.device(), weights_.embedding.scalar_type()) {}

double Transformer::loss_sum(const PackedBatch& batch, const LoraAdapter* adapter) const {
  if (batch.supervised() == 0) return 0;
  const Pass pass(*this, batch, adapter, 0.0, 0);
  const at::Tensor x = hidden_states(pass, architecture_.layers);
  const at::Tensor rows = pass.final_norm(at::index_select(x, 0, batch.loss_rows));
  return cross_entropy(rows, weights_.head, batch.loss_targets,
                       {.soft_cap = architecture_.soft_caps.logits});
}

at::Tensor Transformer::logits(const PackedBatch& batch, const LoraAdapter* adapter) const {
  const Pass pass(*this, batch, adapter, 0.0, 0);
  const at::Tensor x = pass.final_norm(hidden_states(pass, architecture_.layers));
  return logits_of(architecture_, x, weights_.head);
}

double Transformer::accumulate_gradients(const PackedBatch& batch, LoraAdapter& adapter,
                                         const GradientSettings& settings) const {
  if (batch.supervised() == 0) return 0;
  const Pass pass(*this, batch, &adapter, adapter.shape().dropout, settings.dropout_seed);
  std::vector<BlockState> states(static_cast<std::size_t>(architecture_.layers));
  at::Tensor x = pass.first_input();
  for (std::int64_t layer = 0; layer < architecture_.layers; ++layer) {
    BlockState& state = states[static_cast<std::size_t>(layer)];
    x = pass.forward(layer, x, state);
    pass.let_go(settings.checkpointing, state);
  }

  const at::Tensor rows = at::index_select(x, 0, batch.loss_rows);
  const LossForm form{.scale = settings.loss_scale, .soft_cap = architecture_.soft_caps.logits};
  const auto [loss, drows_normed] =
      cross_entropy_with_gradient(pass.final_norm(rows), weights_.head, batch.loss_targets, form);
  const at::Tensor drows = pass.final_norm_backward(drows_normed, rows);
  // Rows without a loss of their own have no gradient here; attention brings it to them.
  const at::Tensor dx = at::zeros_like(x).index_copy_(0, batch.loss_rows, drows);

  for (std::int64_t layer = architecture_.layers - 1; layer >= 0; --layer) {
    BlockState& state = states[static_cast<std::size_t>(layer)];
    pass.backward(layer, dx, state, /*needs_dx=*/layer > 0);
    state = BlockState{};  // its memory serves the blocks below
  }
  return loss;
}

}  // namespace mayfly
