// A decoder as numbers and choices: what a model's config.json says, and nothing computed.
//
// A family is one row of a table in architecture.cpp, keyed by `model_type`; the transformer reads
// the choices, there is no class per family. What the table and the checks do not know (another
// family, rope scaling, activation or quantisation) is refused by name, never guessed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/model/activation.h"
#include "core/model/rope_settings.h"
#include "core/result.h"

namespace mayfly {

// Which linear layers of a block have a bias; o is the attention's output.
struct Biases {
  bool qkv = false;
  bool o = false;
  bool mlp = false;
};

// RMSNorm of queries and keys before the rope: of each head by itself (weight (E)), or of the whole
// projection (weight (H E) and (K E)).
enum class QueryKeyNorm { none, each_head, whole };

// Where the norms of a block's two halves stand: x + f(norm(x)), x + norm(f(x)), or both.
enum class NormPlace { before, after, around };

// Granite's and Gemma's. Applied to what the embedding gives, to f(x) before it is added to x, and
// as a divisor to the logits.
struct Multipliers {
  double embedding = 1.0;
  bool embedding_is_rounded = false;  // the multiplier, to the type of computing
  double residual = 1.0;
  double logits_divisor = 1.0;
};

// x becomes cap · tanh(x / cap); 0: it stays as it is.
struct SoftCaps {
  double attention = 0.0;  // of q kᵀ · scale
  double logits = 0.0;
};

// What may differ from layer to layer.
struct LayerChoice {
  bool has_rope = true;
  bool has_local_rope = false;
  std::int64_t window = 0;  // a token sees itself and window - 1 before it; 0: all before it
};

struct Architecture {
  std::string model_type;  // "llama"
  std::int64_t width = 0;  // D
  std::int64_t layers = 0;
  std::int64_t heads = 0;          // H
  std::int64_t kv_heads = 0;       // K; divides H
  std::int64_t head_width = 0;     // E; even
  std::int64_t rotary_width = 0;   // R, even; 0: E
  std::int64_t ff_width = 0;       // F
  std::int64_t vocabulary = 0;     // V
  std::int64_t max_positions = 0;  // what the model was made for; longer works, badly
  double norm_eps = 1e-6;
  Ropes ropes;
  bool tied_embeddings = false;          // the output head is the input embedding
  bool has_nf4_weights = false;          // the checkpoint has linear layers in bitsandbytes' NF4
  std::vector<std::int64_t> end_tokens;  // config.json's eos_token_id; may be empty
  Biases biases;
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  NormPlace norm_place = NormPlace::before;
  bool one_plus_norms = false;    // norms multiply by 1 + weight, and round once
  bool has_norm_weights = true;   // norms multiply by a weight; else by nothing
  bool norms_embedding = false;   // what the embedding gives, before the first block
  bool norms_after_rope = false;  // those of queries and keys
  bool turns_backwards = false;   // the rope's angles are the opposite ones
  bool has_gate = true;           // in the feed-forward half; else fc1 and fc2
  Activation activation = Activation::silu;
  bool fused_projections =
      false;  // qkv_proj and gate_up_proj: one weight, rows one below the other
  Multipliers multipliers;
  SoftCaps soft_caps;
  std::optional<double> attention_scale;   // of q kᵀ; absent: 1 / sqrt(E)
  std::vector<LayerChoice> layer_choices;  // one a layer; empty: the defaults everywhere

  std::int64_t query_width() const {
    return heads * head_width;
  }
  std::int64_t kv_width() const {
    return kv_heads * head_width;
  }
  // So many of a head's first elements turn by its position.
  std::int64_t turned_width() const {
    return rotary_width > 0 ? rotary_width : head_width;
  }
  LayerChoice choice(std::int64_t layer) const {
    return layer_choices.empty() ? LayerChoice{} : layer_choices[static_cast<std::size_t>(layer)];
  }
  // Of the norms of queries and keys; 0: there are none.
  std::int64_t query_norm_width() const;
  std::int64_t key_norm_width() const;
  // Number of frozen parameters.
  std::int64_t parameters() const;
};

// `what` names the file in errors. Errors: unsupported (a model we do not compute), corrupt (a
// value that is missing, of the wrong type or senseless).
Result<Architecture> architecture_from_json(const nlohmann::json& config, std::string_view what);
// Reads `<model_dir>/config.json`.
Result<Architecture> read_architecture(const std::filesystem::path& model_dir);

}  // namespace mayfly
