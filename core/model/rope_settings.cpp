#include "core/model/rope_settings.h"

#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

#include "core/model/architecture.h"
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

// How long the texts were that the model was made with, and how far they are stretched. A key of
// the model itself wins, which Phi-3 always has.
void read_stretch(ConfigFields& config, ConfigFields& rope, const Family& family,
                  const Architecture& model, RopeSettings& result) {
  constexpr const char* kKey = "original_max_position_embeddings";
  const double otherwise = static_cast<double>(
      family.original_positions > 0 ? family.original_positions : model.max_positions);
  result.original_positions =
      config.find(kKey) != nullptr ? config.positive(kKey) : rope.positive(kKey, otherwise);
  result.factor =
      rope.positive("factor", static_cast<double>(model.max_positions) / result.original_positions);
}

void read_yarn(ConfigFields& rope, RopeSettings& result) {
  result.scaling = RopeScaling::yarn;
  result.fast_turns = rope.positive("beta_fast", result.fast_turns);
  result.slow_turns = rope.positive("beta_slow", result.slow_turns);
  result.rounds_limits = rope.flag("truncate", true);
  for (const char* key : {"mscale", "mscale_all_dim"}) {
    if (rope.find(key) != nullptr) rope.refuse_value(key, "DeepSeek's form is not");
  }
  // Source: Peng et al. 2023, "YaRN", arXiv:2309.00071, equation 22.
  const double recommended = result.factor <= 1.0 ? 1.0 : 0.1 * std::log(result.factor) + 1.0;
  result.amplitude = rope.positive("attention_factor", recommended);
}

void read_longrope(ConfigFields& rope, const Architecture& model, RopeSettings& result) {
  result.scaling = RopeScaling::longrope;
  result.short_divisors = rope.positives("short_factor", model.turned_width() / 2);
  result.long_divisors = rope.positives("long_factor", model.turned_width() / 2);
  // Source: Ding et al. 2024, "LongRoPE", arXiv:2402.13753.
  const double recommended =
      result.factor <= 1.0
          ? 1.0
          : std::sqrt(1.0 + std::log(result.factor) / std::log(result.original_positions));
  result.amplitude = rope.positive("attention_factor", recommended);
}

std::string kind_of(ConfigFields& rope, const Family& family) {
  std::string kind = rope.text("rope_type", rope.text("type", "default"));
  if (family.has_old_rope_names && (kind == "su" || kind == "yarn")) kind = "longrope";
  return kind;
}

// One rope's object. `holder` names it in errors.
RopeSettings read_rope(ConfigFields& config, const json& object, const char* holder, double theta,
                       const Family& family, const Architecture& model) {
  RopeSettings result{.theta = theta};
  if (!object.is_object()) {
    config.keep(Error{ErrorKind::corrupt,
                      std::string(config.what()) + ": the rope settings must be an object"});
    return result;
  }
  ConfigFields rope(object, config.what());
  result.theta = rope.positive("rope_theta", theta);
  const std::string kind = kind_of(rope, family);
  if (kind == "llama3") {
    read_llama3(rope, result);
  } else if (kind == "linear") {
    result.scaling = RopeScaling::linear;
    result.factor = rope.positive("factor");
  } else if (kind == "yarn") {
    read_stretch(config, rope, family, model, result);
    read_yarn(rope, result);
  } else if (kind == "longrope") {
    read_stretch(config, rope, family, model, result);
    read_longrope(rope, model, result);
  } else if (kind != "default") {
    config.refuse_value(holder, "rope scaling \"" + kind +
                                    "\" is not built; linear, llama3, yarn and longrope are");
  }
  for (const char* nested : {"full_attention", "sliding_attention"}) {
    if (rope.find(nested) != nullptr) {
      config.refuse_value(holder, "the family has one rope for all layers");
    }
  }
  if (rope.fault()) config.keep(*rope.fault());
  return result;
}

// For Architecture::rotary_width. `rope` is the rope's object, or null.
std::int64_t read_rotary_width(ConfigFields& config, const json* rope, const Family& family,
                               const Architecture& model) {
  constexpr const char* kKey = "partial_rotary_factor";
  double share = config.positive(kKey, 1.0);
  if (rope != nullptr && rope->is_object()) {
    ConfigFields inner(*rope, config.what());
    share = inner.positive(kKey, share);
    if (inner.fault()) config.keep(*inner.fault());
  }
  if (share == 1.0) return 0;
  const auto width = static_cast<std::int64_t>(share * static_cast<double>(model.head_width));
  if (!family.has_partial_rope || share > 1.0 || width < 2 || width % 2 != 0) {
    config.refuse(std::string("\"") + kKey + "\" is " + json(share).dump() +
                  (family.has_partial_rope ? ", which is no even part of a head"
                                           : ": in this family a rope turns whole heads"));
  }
  return width;
}

// Gemma 3's: one for layers with a window, one for the others, in an object with two or, as older
// files have it, in keys of their own; `rope_scaling` is that of the others.
Ropes read_two(ConfigFields& config, const Family& family, const Architecture& model) {
  Ropes ropes{.all = {.theta = config.positive("rope_theta", family.rope_theta)},
              .local = {.theta = config.positive("rope_local_base_freq", family.local_rope_theta)}};
  if (const json* const both = config.find("rope_parameters")) {
    const auto read = [&](const char* kind, RopeSettings& rope) {
      const auto found = both->find(kind);
      if (found != both->end()) {
        rope = read_rope(config, *found, "rope_parameters", rope.theta, family, model);
      }
    };
    if (both->is_object() && (both->contains("full_attention") || both->empty())) {
      read("full_attention", ropes.all);
      read("sliding_attention", ropes.local);
    } else {
      config.refuse_value("rope_parameters", "it should have an object for each kind of layer");
    }
  } else if (const json* const scaling = config.find("rope_scaling")) {
    ropes.all = read_rope(config, *scaling, "rope_scaling", ropes.all.theta, family, model);
  }
  return ropes;
}

}  // namespace

void read_ropes(ConfigFields& config, const Family& family, Architecture& result) {
  const bool has_new = config.find("rope_parameters") != nullptr;
  const char* const holder = has_new ? "rope_parameters" : "rope_scaling";
  const json* const object = config.find(holder);
  result.rotary_width = read_rotary_width(config, object, family, result);
  if (config.fault()) return;
  const double theta = config.positive("rope_theta", family.rope_theta);
  if (family.local_rope_theta > 0) {
    result.ropes = read_two(config, family, result);
  } else if (object != nullptr) {
    result.ropes.all = read_rope(config, *object, holder, theta, family, result);
  } else {
    result.ropes.all.theta = theta;
  }
}

}  // namespace mayfly
