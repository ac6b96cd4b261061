#include "trainer/nn/transformer.h"

#include <array>
#include <utility>

#include <ATen/ops/embedding.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include "trainer/ops/attention.h"
#include "trainer/ops/cross_entropy.h"
#include "trainer/ops/lora_linear.h"
#include "trainer/ops/random.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope_apply.h"
#include "trainer/ops/swiglu.h"

namespace mayfly {

namespace {

// What the backward pass of a block needs of its forward pass. Norms and SwiGLU are made again.
struct BlockState {
  at::Tensor x;                                   // (N, D) into the block
  at::Tensor q, k, v;                             // (N, H or K, E), turned
  AttentionForward attended;                      // out (N, H, E)
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
        rope_(model.rope().rows(batch.positions)),
        backend_(attention_backend(model.weights().embedding, architecture_.head_width)) {}

  at::Tensor embedded() const {
    return at::embedding(model_.weights().embedding, batch_.tokens);
  }

  at::Tensor final_norm(const at::Tensor& x) const {
    return rms_norm(x, model_.weights().final_norm, architecture_.norm_eps);
  }

  // Fills `state` and returns what goes into the next block.
  at::Tensor forward(std::int64_t layer, const at::Tensor& x, BlockState& state) const;
  // Lets go of what `checkpointing` says is made again.
  void let_go(Checkpointing checkpointing, BlockState& state) const;
  // Turns `dx`, the gradient of what forward returned, into that of x, in place; adds to the
  // adapter's gradients. With `needs_dx` false dx is garbage afterwards.
  void backward(std::int64_t layer, const at::Tensor& dx, BlockState& state, bool needs_dx) const;

 private:
  // The two halves of forward: attend returns the norm of `middle`, which gate takes; gate goes up
  // to the last product.
  at::Tensor attend(std::int64_t layer, BlockState& state) const;
  void gate(std::int64_t layer, const at::Tensor& normed, BlockState& state) const;

  const BlockWeights& block(std::int64_t layer) const {
    return model_.weights().blocks[static_cast<std::size_t>(layer)];
  }
  at::Tensor input_norm(std::int64_t layer, const BlockState& state) const {
    return rms_norm(state.x, block(layer).input_norm, architecture_.norm_eps);
  }
  at::Tensor post_attention_norm(std::int64_t layer, const BlockState& state) const {
    return rms_norm(state.middle, block(layer).post_attention_norm, architecture_.norm_eps);
  }
  std::vector<FrozenWeight> weights(std::int64_t layer, InputGroup group) const {
    std::vector<FrozenWeight> result;
    for (const Projection projection : projections_of(group)) {
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
  // With x as it went into the products.
  void linear_A_backward(std::int64_t layer, InputGroup group, const at::Tensor& Q,
                         const at::Tensor& x) const {
    add_A_gradient(Q, x, adapters(layer, group), dropout(layer, group));
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
  RopeRows rope_;
  AttentionBackend backend_;
};

at::Tensor Pass::attend(std::int64_t layer, BlockState& state) const {
  const auto qkv = linear(layer, InputGroup::attention_in, input_norm(layer, state), state);
  state.q = split_heads(qkv[0]);
  state.k = split_heads(qkv[1]);
  state.v = split_heads(qkv[2]);
  rope_apply(state.q, state.k, rope_.cosine, rope_.sine, Turn::forward);
  state.attended = attention(state.q, state.k, state.v, batch_.starts, backend_);
  const at::Tensor out = join_heads(state.attended.out);
  state.middle = linear(layer, InputGroup::attention_out, out, state)[0];
  // The residual stream's sum and its norm in one pass.
  return add_rms_norm(state.middle, state.x, block(layer).post_attention_norm,
                      architecture_.norm_eps);
}

void Pass::gate(std::int64_t layer, const at::Tensor& normed, BlockState& state) const {
  const auto gate_up = linear(layer, InputGroup::mlp_in, normed, state);
  state.gate = gate_up[0];
  state.up = gate_up[1];
}

at::Tensor Pass::forward(std::int64_t layer, const at::Tensor& x, BlockState& state) const {
  state.x = x;
  gate(layer, attend(layer, state), state);
  const at::Tensor hidden = swiglu(state.gate, state.up);
  return linear(layer, InputGroup::mlp_out, hidden, state)[0].add_(state.middle);
}

void Pass::let_go(Checkpointing checkpointing, BlockState& state) const {
  if (checkpointing == Checkpointing::off) return;
  for (at::Tensor* const made_again : {&state.gate, &state.up}) made_again->reset();
  if (checkpointing == Checkpointing::feed_forward) return;
  for (at::Tensor* const made_again : {&state.q, &state.k, &state.v, &state.middle}) {
    made_again->reset();
  }
  state.attended = {};
}

void Pass::backward(std::int64_t layer, const at::Tensor& dx, BlockState& state,
                    bool needs_dx) const {
  const double eps = architecture_.norm_eps;
  if (!state.middle.defined()) {
    gate(layer, attend(layer, state), state);
  } else if (!state.gate.defined()) {
    gate(layer, post_attention_norm(layer, state), state);
  }
  {
    const auto down = linear_backward(layer, InputGroup::mlp_out, {dx}, state);
    // In place: gate and up are their own gradients now, and down.dx is what went into `down`.
    swiglu_backward(state.gate, state.up, down.dx);
    linear_A_backward(layer, InputGroup::mlp_out, down.Q, down.dx);
  }
  {
    const auto in = linear_backward(layer, InputGroup::mlp_in, {state.gate, state.up}, state);
    linear_A_backward(layer, InputGroup::mlp_in, in.Q, post_attention_norm(layer, state));
    rms_norm_backward(dx, in.dx, state.middle, block(layer).post_attention_norm, eps);
  }
  const auto out = linear_backward(layer, InputGroup::attention_out, {dx}, state);
  linear_A_backward(layer, InputGroup::attention_out, out.Q, join_heads(state.attended.out));
  const auto [dq, dk, dv] = attention_backward(split_heads(out.dx), state.q, state.k, state.v,
                                               state.attended, batch_.starts, backend_);
  rope_apply(dq, dk, rope_.cosine, rope_.sine, Turn::backward);
  const auto in =
      linear_backward(layer, InputGroup::attention_in,
                      {join_heads(dq), join_heads(dk), join_heads(dv)}, state, needs_dx);
  linear_A_backward(layer, InputGroup::attention_in, in.Q, input_norm(layer, state));
  if (needs_dx) rms_norm_backward(dx, in.dx, state.x, block(layer).input_norm, eps);
}

// Through all blocks, without keeping anything.
at::Tensor hidden_states(const Pass& pass, std::int64_t layers) {
  at::Tensor x = pass.embedded();
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
  return cross_entropy(rows, weights_.head, batch.loss_targets);
}

at::Tensor Transformer::logits(const PackedBatch& batch, const LoraAdapter* adapter) const {
  const Pass pass(*this, batch, adapter, 0.0, 0);
  const at::Tensor x = pass.final_norm(hidden_states(pass, architecture_.layers));
  return at::mm(x, weights_.head.t()).to(at::kFloat);
}

double Transformer::accumulate_gradients(const PackedBatch& batch, LoraAdapter& adapter,
                                         const GradientSettings& settings) const {
  if (batch.supervised() == 0) return 0;
  const Pass pass(*this, batch, &adapter, adapter.shape().dropout, settings.dropout_seed);
  std::vector<BlockState> states(static_cast<std::size_t>(architecture_.layers));
  at::Tensor x = pass.embedded();
  for (std::int64_t layer = 0; layer < architecture_.layers; ++layer) {
    BlockState& state = states[static_cast<std::size_t>(layer)];
    x = pass.forward(layer, x, state);
    pass.let_go(settings.checkpointing, state);
  }

  const at::Tensor rows = at::index_select(x, 0, batch.loss_rows);
  const auto [loss, drows_normed] = cross_entropy_with_gradient(
      pass.final_norm(rows), weights_.head, batch.loss_targets, settings.loss_scale);
  const at::Tensor drows = at::zeros_like(rows);
  rms_norm_backward(drows, drows_normed, rows, weights_.final_norm, architecture_.norm_eps);
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
