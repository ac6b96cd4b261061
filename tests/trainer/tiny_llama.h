// A random llama small enough to compute a second way: op by op in double, with libtorch's own
// derivatives, one dense mask for all documents, no adapter trick. What the trainer's decoder is
// tested against.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "trainer/nn/lora.h"
#include "trainer/nn/packed_batch.h"
#include "trainer/nn/transformer.h"
#include "trainer/ops/random.h"

namespace mayfly {

inline Architecture tiny_architecture() {
  return {.model_type = "llama",
          .width = 24,
          .layers = 3,
          .heads = 4,
          .kv_heads = 2,
          .head_width = 6,
          .ff_width = 40,
          .vocabulary = 50,
          .max_positions = 64,
          .norm_eps = 1e-5,
          .ropes = {},
          .tied_embeddings = false,
          .end_tokens = {},
          .biases = {},
          .multipliers = {},
          .soft_caps = {},
          .attention_scale = {},
          .layer_choices = {}};
}

// The tiny model with what other families do differently, each of them once.
inline std::map<std::string, Architecture> tiny_families() {
  std::map<std::string, Architecture> all;
  Architecture& qwen = all["BiasesHeadNormsAndAWindow"] = tiny_architecture();
  qwen.biases = {.qkv = true, .o = true, .mlp = true};
  qwen.query_key_norm = QueryKeyNorm::each_head;
  qwen.layer_choices = {{.window = 5}, {.has_rope = false}, {.window = 1}};
  Architecture& olmo = all["NormsBehind"] = tiny_architecture();
  olmo.norm_place = NormPlace::after;
  olmo.query_key_norm = QueryKeyNorm::whole;
  Architecture& phi = all["FusedProjectionsAndMultipliers"] = tiny_architecture();
  phi.fused_projections = true;
  phi.biases.qkv = true;
  phi.multipliers = {.embedding = 3.0, .residual = 0.4, .logits_divisor = 2.0};
  phi.attention_scale = 0.3;
  Architecture& gemma = all["NormsAroundOnePlusGeluAndCaps"] = tiny_architecture();
  gemma.norm_place = NormPlace::around;
  gemma.one_plus_norms = true;
  gemma.activation = Activation::gelu_tanh;
  gemma.multipliers = {.embedding = 2.4, .embedding_is_rounded = true};
  gemma.soft_caps = {.attention = 1.5, .logits = 4.0};
  gemma.attention_scale = 0.5;
  gemma.layer_choices = {{.window = 5}, {}, {.window = 3}};
  Architecture& gemma3 = all["LocalRopesAndOnePlusHeadNorms"] = tiny_architecture();
  gemma3.norm_place = NormPlace::around;
  gemma3.one_plus_norms = true;
  gemma3.query_key_norm = QueryKeyNorm::each_head;
  gemma3.activation = Activation::gelu_tanh;
  gemma3.ropes = {.all = {.theta = 1e6, .scaling = RopeScaling::linear, .factor = 8.0},
                  .local = {.theta = 10000.0}};
  gemma3.layer_choices = {{.has_local_rope = true, .window = 5}, {}, {}};
  Architecture& nanochat = all["NormsWithoutWeightsNoGateAndARopeBefore"] = tiny_architecture();
  nanochat.query_key_norm = QueryKeyNorm::each_head;
  nanochat.has_norm_weights = nanochat.has_gate = false;
  nanochat.norms_embedding = nanochat.norms_after_rope = nanochat.turns_backwards = true;
  nanochat.activation = Activation::relu_squared;
  nanochat.soft_caps.logits = 4.0;
  Architecture& phi4 = all["PartOfAHeadTurnsByLongRope"] = tiny_architecture();
  phi4.rotary_width = 4;
  phi4.ropes.all = {.scaling = RopeScaling::longrope,
                    .original_positions = 9,
                    .short_divisors = {1.0, 1.5},
                    .long_divisors = {3.0, 7.0},
                    .amplitude = 1.3};
  return all;
}

inline at::Tensor random_tensor(at::IntArrayRef shape, double size, std::uint64_t seed) {
  return at::empty(shape, at::kFloat).normal_(0.0, size, seeded_generator(at::kCPU, seed));
}

inline DecoderWeights tiny_weights(const Architecture& architecture, at::ScalarType type) {
  std::uint64_t seed = 100;
  const auto tensor = [&](at::IntArrayRef shape, double size) {
    return random_tensor(shape, size, ++seed).to(type);
  };
  const auto norm_of = [&](std::int64_t width) {
    if (!architecture.has_norm_weights) return at::ones({width}, type);
    return tensor({width}, 0.2).add_(architecture.one_plus_norms ? 0.0 : 1.0);
  };
  const auto norm = [&] { return norm_of(architecture.width); };
  const auto norms = [&] {
    HalfNorms made;
    if (architecture.norm_place != NormPlace::after) made.before = norm();
    if (architecture.norm_place != NormPlace::before) made.behind = norm();
    return made;
  };
  DecoderWeights weights;
  weights.embedding = tensor({architecture.vocabulary, architecture.width}, 1.0);
  for (std::int64_t layer = 0; layer < architecture.layers; ++layer) {
    BlockWeights block;
    block.attention_norms = norms();
    block.feed_forward_norms = norms();
    for (const Projection projection : projections(architecture)) {
      const std::int64_t outputs = projection_outputs(architecture, projection);
      FrozenWeight& linear = block.projections[static_cast<std::size_t>(projection)];
      linear = tensor({outputs, projection_inputs(architecture, projection)}, 0.25);
      if (has_bias(architecture, projection)) linear.set_bias(tensor({outputs}, 0.5));
    }
    if (architecture.query_key_norm != QueryKeyNorm::none) {
      block.query_norm = norm_of(architecture.query_norm_width());
      block.key_norm = norm_of(architecture.key_norm_width());
    }
    weights.blocks.push_back(block);
  }
  weights.final_norm = norm();
  weights.head = tensor({architecture.vocabulary, architecture.width}, 1.0);
  return weights;
}

inline Transformer tiny_model(at::ScalarType type = at::kFloat) {
  const Architecture architecture = tiny_architecture();
  return Transformer(architecture, tiny_weights(architecture, type));
}

// B is random too, so that every tensor has a gradient from the start.
inline LoraAdapter tiny_adapter(at::ScalarType type = at::kFloat,
                                std::vector<std::string> targets = {"all-linear"},
                                double dropout = 0.0,
                                const Architecture& architecture = tiny_architecture()) {
  const LoraShape shape{.rank = 3,
                        .alpha = 6,
                        .dropout = dropout,
                        .use_rslora = false,
                        .targets = *projections_named(targets, architecture)};
  LoraAdapter adapter = LoraAdapter::create(architecture, shape, 5, at::kCPU, type);
  for (const NamedTensor& tensor : adapter.named(adapter.values())) {
    if (tensor.name.find("lora_B") == std::string::npos) continue;
    tensor.value.copy_(
        random_tensor(tensor.value.sizes(), 0.1, std::hash<std::string>()(tensor.name)));
  }
  adapter.refresh();
  return adapter;
}

// With magnitudes that are not those of the start.
inline LoraAdapter tiny_dora(const Transformer& model,
                             std::vector<std::string> targets = {"all-linear"},
                             double dropout = 0.0) {
  const LoraShape shape{.rank = 3,
                        .alpha = 6,
                        .dropout = dropout,
                        .use_dora = true,
                        .targets = *projections_named(targets, model.architecture())};
  LoraAdapter adapter = LoraAdapter::create(model.architecture(), shape, 5, at::kCPU, model.type());
  adapter.set_base(model.weights());
  adapter.start_magnitudes();
  for (const NamedTensor& tensor : adapter.named(adapter.values())) {
    const at::Tensor off =
        random_tensor(tensor.value.sizes(), 0.1, std::hash<std::string>()(tensor.name));
    const bool is_magnitude = tensor.value.dim() == 1;
    tensor.value.add_(is_magnitude ? off.mul(tensor.value) : off);
  }
  adapter.refresh();
  return adapter;
}

// Documents of the given lengths, about half of their tokens trained.
inline PackedBatch tiny_batch(const std::vector<std::size_t>& lengths, std::uint64_t seed = 3) {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<std::vector<std::uint8_t>> trained;
  for (const std::size_t length : lengths) {
    tokens.emplace_back();
    trained.emplace_back();
    for (std::size_t i = 0; i < length; ++i) {
      seed = derive_seed(seed, i);
      tokens.back().push_back(static_cast<std::int32_t>(seed % 50));
      trained.back().push_back((seed >> 32) % 2);
    }
  }
  std::vector<DocumentView> views;
  for (std::size_t i = 0; i < tokens.size(); ++i) views.push_back({tokens[i], trained[i]});
  return pack(views, at::kCPU);
}

class ReferenceDecoder {
 public:
  // `adapter` nullptr: the base model.
  ReferenceDecoder(const Transformer& model, const LoraAdapter* adapter) : model_(model) {
    if (adapter == nullptr) return;
    scale_ = adapter->shape().scale();
    for (const NamedTensor& tensor : adapter->named(adapter->values())) {
      factors_[tensor.name] = tensor.value.to(at::kDouble).clone().requires_grad_(true);
    }
  }

  at::Tensor logits(const PackedBatch& batch) const {
    const DecoderWeights& weights = model_.weights();
    at::Tensor x = weights.embedding.to(at::kDouble).index_select(0, batch.tokens);
    for (std::int64_t layer = 0; layer < model_.architecture().layers; ++layer) {
      const BlockWeights& block = weights.blocks[static_cast<std::size_t>(layer)];
      x = x + attention(layer, norm(x, block.attention_norms.before), batch);
      const at::Tensor n = norm(x, block.feed_forward_norms.before);
      const at::Tensor gate = linear(layer, Projection::gate, n);
      x = x + linear(layer, Projection::down,
                     gate * at::sigmoid(gate) * linear(layer, Projection::up, n));
    }
    return at::matmul(norm(x, weights.final_norm), weights.head.to(at::kDouble).t());
  }

  at::Tensor loss_sum(const PackedBatch& batch) const {
    const at::Tensor rows = logits(batch).index_select(0, batch.loss_rows).log_softmax(-1);
    return -rows.gather(1, batch.loss_targets.unsqueeze(1)).sum();
  }

  // After backward() on a result: the gradients by name.
  const std::map<std::string, at::Tensor>& factors() const {
    return factors_;
  }

 private:
  at::Tensor norm(const at::Tensor& x, const at::Tensor& weight) const {
    return x * at::rsqrt(x.square().mean(-1, true) + model_.architecture().norm_eps) *
           weight.to(at::kDouble);
  }

  at::Tensor linear(std::int64_t layer, Projection projection, const at::Tensor& x) const {
    const BlockWeights& block = model_.weights().blocks[static_cast<std::size_t>(layer)];
    at::Tensor y = at::matmul(x, block[projection].matrix().to(at::kDouble).t());
    const auto A = factors_.find(adapter_tensor_name(layer, projection, 'A'));
    if (A == factors_.end()) return y;
    const at::Tensor& B = factors_.at(adapter_tensor_name(layer, projection, 'B'));
    y = y + scale_ * at::matmul(at::matmul(x, A->second.t()), B.t());
    const auto magnitude = factors_.find(adapter_tensor_name(layer, projection, 'm'));
    if (magnitude == factors_.end()) return y;
    const at::Tensor W = block[projection].matrix().to(at::kDouble);
    const at::Tensor norm = (W + scale_ * at::matmul(B, A->second)).square().sum(1).sqrt().detach();
    return y * (magnitude->second / norm);
  }

  // x (N, heads, E), the angle of pair i at position p: p · theta^(-2i/E).
  at::Tensor turn(const at::Tensor& x, const at::Tensor& positions) const {
    const std::int64_t half = x.size(2) / 2;
    const at::Tensor i = at::arange(half, at::kDouble) * (-2.0 / static_cast<double>(x.size(2)));
    const at::Tensor angle =
        at::outer(positions.to(at::kDouble), at::pow(model_.architecture().ropes.all.theta, i))
            .unsqueeze(1);
    const at::Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
    return at::cat({a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()}, 2);
  }

  at::Tensor attention(std::int64_t layer, const at::Tensor& n, const PackedBatch& batch) const {
    const Architecture& a = model_.architecture();
    const std::int64_t rows = n.size(0);
    const auto split = [&](Projection p) {
      return linear(layer, p, n).view({rows, -1, a.head_width});
    };
    const auto expand = [&](const at::Tensor& x) {
      return x.repeat_interleave(a.heads / a.kv_heads, 1).transpose(0, 1);
    };
    const at::Tensor q = turn(split(Projection::q), batch.positions).transpose(0, 1);
    const at::Tensor k = expand(turn(split(Projection::k), batch.positions));
    const at::Tensor v = expand(split(Projection::v));
    at::Tensor seen = at::zeros({rows, rows}, at::kBool);
    for (std::size_t d = 1; d < batch.starts.size(); ++d) {
      for (std::int64_t row = batch.starts[d - 1]; row < batch.starts[d]; ++row) {
        seen[row].slice(0, batch.starts[d - 1], row + 1).fill_(true);
      }
    }
    const at::Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(double(a.head_width));
    const at::Tensor p = scores.masked_fill(seen.logical_not(), -1e300).softmax(-1);
    const at::Tensor out = at::matmul(p, v).transpose(0, 1).reshape({rows, -1});
    return linear(layer, Projection::o, out);
  }

  const Transformer& model_;
  double scale_ = 0;
  std::map<std::string, at::Tensor> factors_;
};

// Largest difference over the largest value of `right`.
inline double relative_difference(const at::Tensor& got, const at::Tensor& right) {
  const at::Tensor r = right.detach().to(at::kDouble);
  return ((got.detach().to(at::kDouble) - r).abs().max() / r.abs().max().clamp_min(1e-30))
      .item<double>();
}

}  // namespace mayfly
