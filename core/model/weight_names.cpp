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
    ProjectionRow{"down_proj", "mlp"},
};
static_assert(kRows.size() == kProjections.size());

const ProjectionRow& row(Projection projection) {
  return kRows[static_cast<std::size_t>(projection)];
}

std::string layer_prefix(std::int64_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

std::string known_names() {
  std::string names = "all-linear";
  for (const ProjectionRow& each : kRows) names += ", " + std::string(each.name);
  return names;
}

}  // namespace

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
    case Projection::gate:
    case Projection::up:
      return architecture.ff_width;
    case Projection::o:
    case Projection::down:
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
      return architecture.ff_width;
    case Projection::q:
    case Projection::k:
    case Projection::v:
    case Projection::gate:
    case Projection::up:
      return architecture.width;
  }
  assert(false);
  return 0;
}

std::string module_name(std::int64_t layer, Projection projection) {
  const ProjectionRow& names = row(projection);
  return layer_prefix(layer) + std::string(names.parent) + "." + std::string(names.name);
}

std::string projection_weight_name(std::int64_t layer, Projection projection) {
  return module_name(layer, projection) + ".weight";
}

std::string input_norm_name(std::int64_t layer) {
  return layer_prefix(layer) + "input_layernorm.weight";
}

std::string post_attention_norm_name(std::int64_t layer) {
  return layer_prefix(layer) + "post_attention_layernorm.weight";
}

std::string adapter_tensor_name(std::int64_t layer, Projection projection, char factor) {
  return "base_model.model." + module_name(layer, projection) + ".lora_" + factor + ".weight";
}

Result<std::vector<Projection>> projections_named(const std::vector<std::string>& names) {
  if (names.empty()) {
    return Error{ErrorKind::invalid_config, "lora.target_modules is empty",
                 "known: " + known_names()};
  }
  if (names.size() == 1 && names.front() == "all-linear") {
    return std::vector<Projection>(kProjections.begin(), kProjections.end());
  }
  for (const std::string& name : names) {
    const bool known = std::any_of(kRows.begin(), kRows.end(),
                                   [&](const auto& each) { return each.name == name; });
    if (known) continue;
    const std::string why =
        name == "all-linear" ? "\"all-linear\" in lora.target_modules must stand alone"
                             : "lora.target_modules: the model has no projection \"" + name + "\"";
    return Error{ErrorKind::invalid_config, why, "known: " + known_names()};
  }
  std::vector<Projection> found;
  for (const Projection projection : kProjections) {
    if (std::find(names.begin(), names.end(), projection_name(projection)) != names.end()) {
      found.push_back(projection);
    }
  }
  return found;
}

}  // namespace mayfly
