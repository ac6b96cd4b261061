#include "core/model/weight_names.h"

#include <algorithm>
#include <cassert>

namespace mayfly {

namespace {

// In the order of enum Projection.
struct ProjectionRow {
  std::string_view name;
  std::string_view parent;
};
constexpr std::array kRows = {
    ProjectionRow{"q_proj", "self_attn"}, ProjectionRow{"k_proj", "self_attn"},
    ProjectionRow{"v_proj", "self_attn"}, ProjectionRow{"o_proj", "self_attn"},
    ProjectionRow{"gate_proj", "mlp"},    ProjectionRow{"up_proj", "mlp"},
    ProjectionRow{"down_proj", "mlp"},    ProjectionRow{"qkv_proj", "self_attn"},
    ProjectionRow{"gate_up_proj", "mlp"}, ProjectionRow{"fc1", "mlp"},
    ProjectionRow{"fc2", "mlp"},
};
static_assert(kRows.size() == kProjectionKinds);

const ProjectionRow& row(Projection projection) {
  return kRows[static_cast<std::size_t>(projection)];
}

std::string layer_prefix(std::int64_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

std::string known_names(const Architecture& architecture) {
  std::string names = "all-linear";
  for (const Projection each : projections(architecture)) {
    names += ", " + std::string(row(each).name);
  }
  return names;
}

}  // namespace

std::span<const Projection> projections(const Architecture& architecture) {
  if (architecture.fused_projections) return kFusedProjections;
  if (!architecture.has_gate) return kUngatedProjections;
  return kProjections;
}

std::string_view projection_name(Projection projection) {
  return row(projection).name;
}

std::int64_t projection_outputs(const Architecture& architecture, Projection projection) {
  switch (projection) {
    case Projection::q:
      return architecture.query_width();
    case Projection::k:
    case Projection::v:
      return architecture.kv_width();
    case Projection::qkv:
      return architecture.query_width() + 2 * architecture.kv_width();
    case Projection::gate:
    case Projection::up:
    case Projection::fc1:
      return architecture.ff_width;
    case Projection::gate_up:
      return 2 * architecture.ff_width;
    case Projection::o:
    case Projection::down:
    case Projection::fc2:
      return architecture.width;
  }
  assert(false);
  return 0;
}

std::int64_t projection_inputs(const Architecture& architecture, Projection projection) {
  switch (projection) {
    case Projection::o:
      return architecture.query_width();
    case Projection::down:
    case Projection::fc2:
      return architecture.ff_width;
    case Projection::q:
    case Projection::k:
    case Projection::v:
    case Projection::qkv:
    case Projection::gate:
    case Projection::up:
    case Projection::gate_up:
    case Projection::fc1:
      return architecture.width;
  }
  assert(false);
  return 0;
}

bool has_bias(const Architecture& architecture, Projection projection) {
  switch (projection) {
    case Projection::q:
    case Projection::k:
    case Projection::v:
    case Projection::qkv:
      return architecture.biases.qkv;
    case Projection::o:
      return architecture.biases.o;
    case Projection::gate:
    case Projection::up:
    case Projection::gate_up:
    case Projection::down:
    case Projection::fc1:
    case Projection::fc2:
      return architecture.biases.mlp;
  }
  assert(false);
  return false;
}

std::string module_name(std::int64_t layer, Projection projection) {
  const ProjectionRow& names = row(projection);
  return layer_prefix(layer) + std::string(names.parent) + "." + std::string(names.name);
}

std::string projection_weight_name(std::int64_t layer, Projection projection) {
  return module_name(layer, projection) + ".weight";
}

std::string projection_bias_name(std::int64_t layer, Projection projection) {
  return module_name(layer, projection) + ".bias";
}

NormNames attention_norm_names(std::int64_t layer, NormPlace place) {
  const std::string prefix = layer_prefix(layer);
  NormNames names;
  if (place != NormPlace::after) names.before = prefix + "input_layernorm.weight";
  if (place != NormPlace::before) names.behind = prefix + "post_attention_layernorm.weight";
  return names;
}

// "post_attention" is before the feed-forward half where norms stand before, as in Llama.
NormNames feed_forward_norm_names(std::int64_t layer, NormPlace place) {
  const std::string prefix = layer_prefix(layer);
  switch (place) {
    case NormPlace::before:
      return {prefix + "post_attention_layernorm.weight", ""};
    case NormPlace::after:
      return {"", prefix + "post_feedforward_layernorm.weight"};
    case NormPlace::around:
      return {prefix + "pre_feedforward_layernorm.weight",
              prefix + "post_feedforward_layernorm.weight"};
  }
  assert(false);
  return {};
}

std::string query_norm_name(std::int64_t layer) {
  return layer_prefix(layer) + "self_attn.q_norm.weight";
}

std::string key_norm_name(std::int64_t layer) {
  return layer_prefix(layer) + "self_attn.k_norm.weight";
}

std::string adapter_tensor_name(std::int64_t layer, Projection projection, char factor) {
  const std::string module = "base_model.model." + module_name(layer, projection);
  if (factor == 'm') return module + ".lora_magnitude_vector";
  return module + ".lora_" + factor + ".weight";
}

Result<std::vector<Projection>> projections_named(const std::vector<std::string>& names,
                                                  const Architecture& architecture) {
  const std::span<const Projection> known = projections(architecture);
  if (names.empty()) {
    return Error{ErrorKind::invalid_config, "lora.target_modules is empty",
                 "known: " + known_names(architecture)};
  }
  if (names.size() == 1 && names.front() == "all-linear") {
    return std::vector<Projection>(known.begin(), known.end());
  }
  for (const std::string& name : names) {
    const bool is_known = std::any_of(known.begin(), known.end(), [&](const Projection each) {
      return projection_name(each) == name;
    });
    if (is_known) continue;
    const std::string why =
        name == "all-linear" ? "\"all-linear\" in lora.target_modules must stand alone"
                             : "lora.target_modules: the model has no projection \"" + name + "\"";
    return Error{ErrorKind::invalid_config, why, "known: " + known_names(architecture)};
  }
  std::vector<Projection> found;
  for (const Projection projection : known) {
    if (std::find(names.begin(), names.end(), projection_name(projection)) != names.end()) {
      found.push_back(projection);
    }
  }
  return found;
}

}  // namespace mayfly
