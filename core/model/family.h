// What sets a family of models apart from the others: one row each, keyed by `model_type` in
// config.json. Which choices of config.json a family reads is in its row too, so that a key of
// another family is never obeyed by accident.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/model/architecture.h"

namespace mayfly {

// Which linear layers have biases.
enum class BiasRule {
  none,
  qkv,         // always q, k and v
  attention,   // all of the attention's with `attention_bias`
  everywhere,  // those, and the feed-forward half's with `mlp_bias`
};

// Which layers see only a window.
enum class WindowRule {
  none,
  every_layer,   // `sliding_window`, if it is a number
  upper_layers,  // with `use_sliding_window`: `layer_types`, or those from `max_window_layers` on
  without_rope,  // with `use_sliding_window`: `layer_types`, or those without a rope
  by_pattern,    // `layer_types`, or all but each `window_pattern`-th
};

// The defaults are those of the family's configuration class in transformers 5.23, which
// config.json may leave out.
struct Family {
  std::string_view model_type;
  std::string_view models;  // for a person
  double rope_theta = 10000.0;
  double norm_eps = 1e-6;
  bool tied_embeddings = false;
  std::int64_t max_positions = 2048;
  std::int64_t kv_heads = 0;    // 0: as many as heads
  std::int64_t head_width = 0;  // 0: hidden_size / num_attention_heads
  BiasRule biases = BiasRule::none;
  QueryKeyNorm query_key_norm = QueryKeyNorm::none;
  NormPlace norm_place = NormPlace::before;
  bool fused_projections = false;
  WindowRule window = WindowRule::none;
  std::int64_t window_width = 0;  // where `sliding_window` is absent; 0: none
  std::int64_t window_pattern = 0;
  bool reads_window_pattern = false;  // from `sliding_window_pattern`
  bool has_layers_without_rope = false;
  bool has_partial_rope = false;
  std::int64_t original_positions = 0;  // of a stretched rope; 0: max_positions
  bool has_old_rope_names = false;      // "su" and "yarn" were longrope before it had its name
  double local_rope_theta = 0;  // of layers with a window; 0: they have the rope of the others
  bool has_multipliers = false;
  bool scales_embedding = false;  // by the root of hidden_size
  std::int64_t query_scalar = 0;  // `query_pre_attn_scalar`; 0: heads' width
  bool one_plus_norms = false;
  bool has_norm_weights = true;
  bool norms_embedding = false;
  bool norms_after_rope = false;
  bool turns_backwards = false;
  bool has_gate = true;
  Activation activation = Activation::silu;
  std::optional<double> attention_cap = {};  // where the key is absent, 0: none; absent: no key
  std::optional<double> logit_cap = {};
};

std::span<const Family> families();
// nullptr: no such row.
const Family* family_named(std::string_view model_type);
// "llama, qwen2, ..."
std::string family_list();

}  // namespace mayfly
