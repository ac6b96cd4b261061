// Writing text: one token after the other, keys and values of the tokens before it kept.
//
// Costs 2 · layers · K · E numbers of memory a token, and one pass over the weights a token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "trainer/nn/lora.h"
#include "trainer/nn/transformer.h"

namespace mayfly {

struct Sampling {
  double temperature = 0.0;  // 0: always the likeliest token
  double top_p = 1.0;      // choose among the likeliest tokens that together have this probability
  std::uint64_t seed = 0;  // same seed, same text
  std::int64_t max_new_tokens = 256;
};

// Index of the next token, from (V) logits; `draw` is uniform in [0, 1) and not used when greedy.
std::int32_t sample_token(const at::Tensor& logits, const Sampling& sampling, double draw);

// The tokens after `prompt`, which must not be empty, up to one of `end_tokens` (which is part of
// the answer) or max_new_tokens. Each is given to `on_token` as it comes, if that is set; it
// returns false to stop. `adapter` nullptr: the base model.
std::vector<std::int32_t> generate(const Transformer& model, const LoraAdapter* adapter,
                                   std::span<const std::int32_t> prompt,
                                   std::span<const std::int64_t> end_tokens,
                                   const Sampling& sampling,
                                   const std::function<bool(std::int32_t)>& on_token = {});

}  // namespace mayfly
