#include "core/model/rope_settings.h"

#include <string>

#include <nlohmann/json.hpp>

#include "core/model/config_fields.h"
#include "core/model/family.h"

namespace mayfly {

namespace {

using nlohmann::json;

void read_llama3(ConfigFields& rope, RopeSettings& result) {
  result.scaling = RopeScaling::llama3;
  result.factor = rope.positive("factor");
  result.low_frequency_factor = rope.positive("low_freq_factor");
  result.high_frequency_factor = rope.positive("high_freq_factor");
  result.original_positions = rope.positive("original_max_position_embeddings");
  if (result.high_frequency_factor <= result.low_frequency_factor) {
    rope.keep(Error{ErrorKind::corrupt,
                    std::string(rope.what()) + ": high_freq_factor must be above low_freq_factor"});
  }
}

// One rope's object. `holder` names it in errors.
RopeSettings read_rope(ConfigFields& config, const json& object, const char* holder, double theta) {
  RopeSettings result{.theta = theta};
  if (!object.is_object()) {
    config.keep(Error{ErrorKind::corrupt,
                      std::string(config.what()) + ": the rope settings must be an object"});
    return result;
  }
  ConfigFields rope(object, config.what());
  result.theta = rope.positive("rope_theta", theta);
  const std::string kind = rope.text("rope_type", rope.text("type", "default"));
  if (kind == "llama3") {
    read_llama3(rope, result);
  } else if (kind == "linear") {
    result.scaling = RopeScaling::linear;
    result.factor = rope.positive("factor");
  } else if (kind != "default") {
    config.refuse_value(holder,
                        "rope scaling \"" + kind + "\" is not built; linear and llama3 are");
  }
  if (rope.positive("partial_rotary_factor", 1.0) != 1.0) {
    rope.refuse_value("partial_rotary_factor", "a rope turns whole heads");
  }
  for (const char* nested : {"full_attention", "sliding_attention"}) {
    if (rope.find(nested) != nullptr) {
      config.refuse_value(holder, "the family has one rope for all layers");
    }
  }
  if (rope.fault()) config.keep(*rope.fault());
  return result;
}

// Gemma 3's: one for layers with a window, one for the others, in an object with two or, as older
// files have it, in keys of their own; `rope_scaling` is that of the others.
Ropes read_two(ConfigFields& config, const Family& family) {
  Ropes ropes{.all = {.theta = config.positive("rope_theta", family.rope_theta)},
              .local = {.theta = config.positive("rope_local_base_freq", family.local_rope_theta)}};
  if (const json* const both = config.find("rope_parameters")) {
    const auto read = [&](const char* kind, RopeSettings& rope) {
      const auto found = both->find(kind);
      if (found != both->end()) {
        rope = read_rope(config, *found, "rope_parameters", rope.theta);
      }
    };
    if (both->is_object() && (both->contains("full_attention") || both->empty())) {
      read("full_attention", ropes.all);
      read("sliding_attention", ropes.local);
    } else {
      config.refuse_value("rope_parameters", "it should have an object for each kind of layer");
    }
  } else if (const json* const scaling = config.find("rope_scaling")) {
    ropes.all = read_rope(config, *scaling, "rope_scaling", ropes.all.theta);
  }
  return ropes;
}

}  // namespace

Ropes read_ropes(ConfigFields& config, const Family& family) {
  if (family.local_rope_theta > 0) return read_two(config, family);
  const double theta = config.positive("rope_theta", family.rope_theta);
  for (const char* holder : {"rope_parameters", "rope_scaling"}) {
    const json* const object = config.find(holder);
    if (object != nullptr) return {.all = read_rope(config, *object, holder, theta), .local = {}};
  }
  return {.all = {.theta = theta}, .local = {}};
}

}  // namespace mayfly
