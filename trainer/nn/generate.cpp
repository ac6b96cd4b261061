#include "trainer/nn/generate.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <numeric>
#include <random>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include "trainer/nn/block_parts.h"
#include "trainer/ops/cache_attention.h"
#include "trainer/ops/glu.h"
#include "trainer/ops/lora_linear.h"
#include "trainer/ops/rms_norm.h"
#include "trainer/ops/rope_apply.h"

namespace mayfly {

namespace {

// Keys and values of all tokens so far; room for `capacity` of them.
class KvCache {
 public:
  KvCache(const Transformer& model, std::int64_t capacity) {
    const Architecture& architecture = model.architecture();
    for (std::int64_t layer = 0; layer < architecture.layers; ++layer) {
      const auto options = at::TensorOptions().dtype(model.type()).device(model.device());
      const auto shape = {capacity, architecture.kv_heads, architecture.head_width};
      blocks_.push_back({at::empty(shape, options), at::empty(shape, options)});
    }
  }

  std::int64_t length() const {
    return length_;
  }
  struct Block {
    at::Tensor k, v;  // (capacity, K, E)
  };
  Block& block(std::int64_t layer) {
    return blocks_[static_cast<std::size_t>(layer)];
  }
  void advance(std::int64_t count) {
    length_ += count;
  }
  void forget() {
    length_ = 0;
  }

 private:
  std::vector<Block> blocks_;
  std::int64_t length_ = 0;
};

// Either the whole prompt (n tokens into an empty cache) or one token.
class Step {
 public:
  Step(const Transformer& model, const LoraAdapter* adapter, KvCache& cache, std::int64_t count)
      : model_(model),
        architecture_(model.architecture()),
        adapter_(adapter),
        cache_(cache),
        count_(count),
        ropes_(model.rope().rows(at::arange(cache.length(), cache.length() + count,
                                            at::TensorOptions(at::kLong).device(model.device())),
                                 std::array{std::int64_t{0}, count})) {
    assert(count == 1 || cache.length() == 0);
  }

  at::Tensor block(std::int64_t layer, const at::Tensor& x) const {
    const BlockWeights& weights = model_.weights().blocks[static_cast<std::size_t>(layer)];
    const NormForm form = norm_form(architecture_);
    const auto half = [&](const at::Tensor& input, const HalfNorms& norms, const auto& compute) {
      at::Tensor given =
          compute(norms.before.defined() ? rms_norm(input, norms.before, form) : input);
      if (norms.behind.defined()) given = rms_norm(given, norms.behind, form);
      return given.mul_(architecture_.multipliers.residual).add_(input);
    };
    const at::Tensor middle = half(x, weights.attention_norms, [&](const at::Tensor& input) {
      const auto outputs = linear(layer, InputGroup::attention_in, input);
      const at::Tensor attended = attend(layer, weights, heads_of(architecture_, outputs));
      return linear(layer, InputGroup::attention_out, attended)[0];
    });
    return half(middle, weights.feed_forward_norms, [&](const at::Tensor& input) {
      const GateUp both = gate_up_of(architecture_, linear(layer, InputGroup::mlp_in, input));
      return linear(layer, InputGroup::mlp_out, activated(architecture_, both))[0];
    });
  }

 private:
  std::vector<at::Tensor> linear(std::int64_t layer, InputGroup group, const at::Tensor& x) const {
    std::vector<FrozenWeight> weights;
    for (const Projection projection : projections_of(architecture_, group)) {
      weights.push_back(model_.weights().blocks[static_cast<std::size_t>(layer)][projection]);
    }
    const LoraGroup none;
    return lora_linear(x, weights, adapter_ == nullptr ? none : adapter_->group(layer, group), {})
        .y;
  }

  at::Tensor attend(std::int64_t layer, const BlockWeights& weights, Heads heads) const {
    const auto turn = [&] {
      const LayerChoice choice = architecture_.choice(layer);
      if (!choice.has_rope) return;
      const RopeRows& rope = ropes_.of(choice);
      rope_apply(heads.q, heads.k, rope.cosine, rope.sine, Turn::forward);
    };
    if (architecture_.norms_after_rope) turn();
    if (weights.query_norm.defined()) {
      heads.q = norm_heads(heads.q, weights.query_norm, norm_form(architecture_));
      heads.k = norm_heads(heads.k, weights.key_norm, norm_form(architecture_));
    }
    if (!architecture_.norms_after_rope) turn();
    KvCache::Block& kept = cache_.block(layer);
    kept.k.narrow(0, cache_.length(), count_).copy_(heads.k);
    kept.v.narrow(0, cache_.length(), count_).copy_(heads.v);
    const std::int64_t length = cache_.length() + count_;
    return cache_attention(heads.q, kept.k.narrow(0, 0, length), kept.v.narrow(0, 0, length),
                           attention_form(architecture_, layer));
  }

  const Transformer& model_;
  const Architecture& architecture_;
  const LoraAdapter* adapter_;
  KvCache& cache_;
  std::int64_t count_;
  LayerRopes ropes_;
};

// (V) float32 logits of the token after `tokens`, which are added to the cache.
at::Tensor next_logits(const Transformer& model, const LoraAdapter* adapter, KvCache& cache,
                       std::span<const std::int32_t> tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  at::Tensor ids = at::empty({count}, at::kLong);
  std::copy(tokens.begin(), tokens.end(), ids.mutable_data_ptr<std::int64_t>());
  const Step step(model, adapter, cache, count);
  const Architecture& architecture = model.architecture();
  at::Tensor x = embedded(architecture, model.weights().embedding, ids.to(model.device()));
  for (std::int64_t layer = 0; layer < architecture.layers; ++layer) {
    x = step.block(layer, x);
  }
  cache.advance(count);
  const at::Tensor last =
      rms_norm(x.narrow(0, count - 1, 1), model.weights().final_norm, norm_form(architecture))
          .mul_(1.0 / architecture.multipliers.logits_divisor);
  return logits_of(architecture, last, model.weights().head).squeeze(0);
}

}  // namespace

std::int32_t sample_token(const at::Tensor& logits, const Sampling& sampling, double draw) {
  if (sampling.temperature <= 0)
    return static_cast<std::int32_t>(logits.argmax().item<std::int64_t>());
  const at::Tensor scaled = logits.to(at::kCPU, at::kDouble).div(sampling.temperature);
  const auto [probability, token] = scaled.softmax(-1).sort(/*dim=*/-1, /*descending=*/true);
  const double* const p = probability.const_data_ptr<double>();
  const std::int64_t size = probability.numel();
  // The smallest set of likeliest tokens that has top_p together, then one of it.
  std::int64_t kept = 0;
  double mass = 0;
  while (kept < size && (kept == 0 || mass < sampling.top_p)) mass += p[kept++];
  double left = draw * mass;
  std::int64_t choice = 0;
  while (choice < kept - 1 && left >= p[choice]) left -= p[choice++];
  return static_cast<std::int32_t>(token.const_data_ptr<std::int64_t>()[choice]);
}

std::vector<std::int32_t> generate(const Transformer& model, const LoraAdapter* adapter,
                                   std::span<const std::int32_t> prompt,
                                   std::span<const std::int64_t> end_tokens,
                                   const Sampling& sampling,
                                   const std::function<bool(std::int32_t)>& on_token) {
  assert(!prompt.empty());
  KvCache cache(model, static_cast<std::int64_t>(prompt.size()) + sampling.max_new_tokens);
  std::mt19937_64 random(sampling.seed);
  std::vector<std::int32_t> text(prompt.begin(), prompt.end());
  std::span<const std::int32_t> unseen = text;
  for (std::int64_t i = 0; i < sampling.max_new_tokens; ++i) {
    const at::Tensor logits = next_logits(model, adapter, cache, unseen);
    // 53 bits: every double of [0, 1) on that grid is as likely. std::uniform_real_distribution is
    // not the same in every standard library.
    const double draw = static_cast<double>(random() >> 11) * 0x1.0p-53;
    text.push_back(sample_token(logits, sampling, draw));
    if (on_token && !on_token(text.back())) break;
    if (std::find(end_tokens.begin(), end_tokens.end(), text.back()) != end_tokens.end()) break;
    unseen = std::span(text).last(1);
    if (model.rope().changes_at(static_cast<std::int64_t>(text.size()))) {
      cache.forget();
      unseen = text;
    }
  }
  return {text.begin() + static_cast<std::ptrdiff_t>(prompt.size()), text.end()};
}

}  // namespace mayfly
