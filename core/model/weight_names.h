// The one table of tensor names: which projection of which layer is called what in a checkpoint.
// Reading, adapters, merging and `lora.target_modules` all use it, so names cannot drift.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/architecture.h"
#include "core/result.h"

namespace mayfly {

// The linear layers of a block, in the order transformers and peft list them. `qkv` and `gate_up`
// are Phi-3's, in place of three and of two; `fc1` and `fc2` are those of families without a gate.
enum class Projection { q, k, v, o, gate, up, down, qkv, gate_up, fc1, fc2 };
inline constexpr std::size_t kProjectionKinds = 11;
inline constexpr std::array kProjections = {Projection::q,   Projection::k,    Projection::v,
                                            Projection::o,   Projection::gate, Projection::up,
                                            Projection::down};
inline constexpr std::array kFusedProjections = {Projection::qkv, Projection::o,
                                                 Projection::gate_up, Projection::down};
inline constexpr std::array kUngatedProjections = {Projection::q, Projection::k,   Projection::v,
                                                   Projection::o, Projection::fc1, Projection::fc2};
// Those that a model has.
std::span<const Projection> projections(const Architecture& architecture);

// "q_proj": the word of `lora.target_modules` and of peft.
std::string_view projection_name(Projection projection);
// Rows and columns of its weight: outputs and inputs.
std::int64_t projection_outputs(const Architecture& architecture, Projection projection);
std::int64_t projection_inputs(const Architecture& architecture, Projection projection);

bool has_bias(const Architecture& architecture, Projection projection);

// "model.layers.3.self_attn.q_proj"
std::string module_name(std::int64_t layer, Projection projection);

// Names of frozen tensors in a checkpoint.
std::string projection_weight_name(std::int64_t layer, Projection projection);
std::string projection_bias_name(std::int64_t layer, Projection projection);
// Of the norms before and behind a block's two halves; empty: there is none.
struct NormNames {
  std::string before, behind;
};
NormNames attention_norm_names(std::int64_t layer, NormPlace place);
NormNames feed_forward_norm_names(std::int64_t layer, NormPlace place);
std::string query_norm_name(std::int64_t layer);
std::string key_norm_name(std::int64_t layer);
inline constexpr std::string_view kEmbeddingName = "model.embed_tokens.weight";
inline constexpr std::string_view kFinalNormName = "model.norm.weight";
inline constexpr std::string_view kHeadName = "lm_head.weight";

// Names of an adapter's tensors as peft writes them; `factor` is 'A', 'B', or 'm', DoRA's
// magnitudes.
std::string adapter_tensor_name(std::int64_t layer, Projection projection, char factor);

// What `lora.target_modules` means: names as above, or "all-linear" alone. In table order, without
// repeats. Error: invalid_config, with the known names as its hint.
Result<std::vector<Projection>> projections_named(const std::vector<std::string>& names,
                                                  const Architecture& architecture);

}  // namespace mayfly
