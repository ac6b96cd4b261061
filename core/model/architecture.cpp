#include "core/model/architecture.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/config_fields.h"
#include "core/model/family.h"
#include "core/model/nanochat_checkpoint.h"
#include "core/model/weight_names.h"

namespace mayfly {

namespace {

using nlohmann::json;

// As config.json has it.
std::string_view activation_name(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return "silu";
    case Activation::gelu_tanh:
      return "gelu_pytorch_tanh";
    case Activation::relu_squared:
      return "relu2";
  }
  return "";
}

// What would change the arithmetic and is not built.
void refuse_unknown_choices(ConfigFields& config, const Family& family) {
  const bool is_gemma = family.activation == Activation::gelu_tanh;
  const char* const key = is_gemma ? "hidden_activation" : "hidden_act";
  const std::string wanted(activation_name(family.activation));
  if (config.text(key, wanted) != wanted) config.refuse_value(key, "only " + wanted + " is");
  if (!family.attention_cap && config.find("attn_logit_softcapping") != nullptr) {
    config.refuse_value("attn_logit_softcapping", "attention is not capped in this family");
  }
  if (!family.logit_cap && config.find("final_logit_softcapping") != nullptr) {
    config.refuse_value("final_logit_softcapping", "logits are not capped in this family");
  }
  if (config.find("clip_qkv") != nullptr) config.refuse_value("clip_qkv", "nothing is clipped");
  if (config.flag("use_bidirectional_attention", false)) {
    config.refuse_value("use_bidirectional_attention", "a token sees what is before it");
  }
}

void read_biases(ConfigFields& config, const Family& family, Architecture& result) {
  const bool attention =
      (family.biases == BiasRule::attention || family.biases == BiasRule::everywhere) &&
      config.flag("attention_bias", false);
  result.biases = {.qkv = attention || family.biases == BiasRule::qkv,
                   .o = attention,
                   .mlp = family.biases == BiasRule::everywhere && config.flag("mlp_bias", false)};
}

void read_multipliers(ConfigFields& config, const Family& family, Architecture& result) {
  if (family.query_scalar > 0) {
    result.attention_scale =
        1.0 / std::sqrt(config.positive("query_pre_attn_scalar",
                                        static_cast<double>(family.query_scalar)));
  }
  if (family.scales_embedding) {
    result.multipliers.embedding = std::sqrt(static_cast<double>(result.width));
    result.multipliers.embedding_is_rounded = true;
  }
  if (!family.has_multipliers) return;
  result.multipliers = {.embedding = config.positive("embedding_multiplier", 1.0),
                        .residual = config.positive("residual_multiplier", 1.0),
                        .logits_divisor = config.positive("logits_scaling", 1.0)};
  result.attention_scale = config.positive("attention_multiplier", 1.0);
}

// Null means none.
double soft_cap(ConfigFields& config, const char* key, const std::optional<double>& otherwise) {
  if (!otherwise || config.is_null(key)) return 0.0;
  return config.find(key) == nullptr ? *otherwise : config.positive(key);
}

// One entry a layer; nullptr: absent, or refused.
const json* layer_list(ConfigFields& config, const char* key, const Architecture& result) {
  const json* const list = config.find(key);
  if (list == nullptr) return nullptr;
  if (list->is_array() && static_cast<std::int64_t>(list->size()) == result.layers) return list;
  config.refuse_value(key, "it should be a list with an entry for each layer");
  return nullptr;
}

// 1 in `no_rope_layers` is a layer with a rope. Without the list each `no_rope_layer_interval`-th
// has none. Source: transformers 5.23, configuration_smollm3.py.
void read_layers_without_rope(ConfigFields& config, const Family& family, Architecture& result) {
  if (!family.has_layers_without_rope) return;
  const std::int64_t interval = config.count("no_rope_layer_interval", 4);
  const json* const list = layer_list(config, "no_rope_layers", result);
  for (std::int64_t layer = 0; layer < result.layers; ++layer) {
    bool has_rope = (layer + 1) % interval != 0;
    if (list != nullptr) {
      const json& entry = (*list)[static_cast<std::size_t>(layer)];
      if (entry != 0 && entry != 1) config.refuse_value("no_rope_layers", "entries are 0 and 1");
      has_rope = entry == 1;
    }
    result.layer_choices[static_cast<std::size_t>(layer)].has_rope = has_rope;
  }
}

bool has_window_by_rule(const Family& family, std::int64_t layer, std::int64_t first_or_pattern,
                        const LayerChoice& choice) {
  switch (family.window) {
    case WindowRule::none:
      return false;
    case WindowRule::every_layer:
      return true;
    case WindowRule::upper_layers:
      return layer >= first_or_pattern;
    case WindowRule::without_rope:
      return !choice.has_rope;
    case WindowRule::by_pattern:
      return (layer + 1) % first_or_pattern != 0;
  }
  return false;
}

// The layer that a rule begins at, or how many layers its pattern has.
std::int64_t window_number(ConfigFields& config, const Family& family) {
  if (family.window != WindowRule::by_pattern) return config.count("max_window_layers", 28, 0);
  return family.reads_window_pattern ? config.count("sliding_window_pattern", family.window_pattern)
                                     : family.window_pattern;
}

// Sources: transformers 5.23, the configuration classes; `layer_types` rules where a family has it.
void read_windows(ConfigFields& config, const Family& family, Architecture& result) {
  std::int64_t width = 0;
  const bool is_chosen =
      family.window == WindowRule::every_layer || family.window == WindowRule::by_pattern ||
      (family.window != WindowRule::none && config.flag("use_sliding_window", false));
  if (is_chosen && !config.is_null("sliding_window")) {
    if (config.find("sliding_window") != nullptr) width = config.count("sliding_window");
    if (config.find("sliding_window") == nullptr) width = family.window_width;
  }
  if (family.window == WindowRule::by_pattern && config.is_null("sliding_window")) {
    config.refuse_value("sliding_window", "the family has layers with a window");
  }
  const std::int64_t first_or_pattern = window_number(config, family);
  const json* const types = layer_list(config, "layer_types", result);
  const bool obeys_types =
      family.window != WindowRule::none && family.window != WindowRule::every_layer;
  for (std::int64_t layer = 0; layer < result.layers; ++layer) {
    LayerChoice& choice = result.layer_choices[static_cast<std::size_t>(layer)];
    bool has_window = width > 0 && has_window_by_rule(family, layer, first_or_pattern, choice);
    if (types != nullptr) {
      const json& type = (*types)[static_cast<std::size_t>(layer)];
      const bool slides = type == "sliding_attention";
      // Elsewhere transformers ignores the list: one that says otherwise is a model we do not know.
      if ((!slides && type != "full_attention") || (!obeys_types && slides != has_window) ||
          (slides && width == 0)) {
        config.refuse_value("layer_types",
                            "known are full_attention, and sliding_attention where "
                            "the family has a sliding_window");
        return;
      }
      has_window = slides;
    }
    choice.window = has_window ? width : 0;
    choice.has_local_rope = has_window && family.local_rope_theta > 0;
  }
}

void read_layer_choices(ConfigFields& config, const Family& family, Architecture& result) {
  if (config.fault()) return;
  constexpr std::int64_t kMostLayers = 10'000;  // the deepest models have some hundred
  if (result.layers > kMostLayers) {
    config.refuse_value("num_hidden_layers", "at most 10000 are");
    return;
  }
  result.layer_choices.resize(static_cast<std::size_t>(result.layers));
  read_layers_without_rope(config, family, result);
  read_windows(config, family, result);
  const bool all_plain =
      std::all_of(result.layer_choices.begin(), result.layer_choices.end(),
                  [](const LayerChoice& each) { return each.has_rope && each.window == 0; });
  if (all_plain) result.layer_choices.clear();
}

// Of the quantised checkpoints only those in bitsandbytes' NF4 are read.
void read_quantization(ConfigFields& config, std::string_view what, Architecture& result) {
  const json* const value = config.find("quantization_config");
  if (value == nullptr) return;
  if (!value->is_object()) {
    config.keep(Error{ErrorKind::corrupt,
                      std::string(what) + ": \"quantization_config\" must be an object"});
    return;
  }
  ConfigFields quantization(*value, what);
  const std::string method = quantization.text("quant_method", "bitsandbytes");
  const std::string type = quantization.text("bnb_4bit_quant_type", "fp4");
  result.has_nf4_weights = method == "bitsandbytes" && quantization.flag("load_in_4bit", false) &&
                           type == "nf4" &&
                           quantization.text("bnb_4bit_quant_storage", "uint8") == "uint8";
  if (quantization.fault()) {
    config.keep(*quantization.fault());
  } else if (!result.has_nf4_weights) {
    config.refuse("the weights are quantised by " + method +
                  " in a form that is not supported; of quantised ones, bitsandbytes' nf4 is");
  }
}

void read_end_tokens(ConfigFields& config, std::string_view what, Architecture& result) {
  const json* const value = config.find("eos_token_id");
  if (value == nullptr) return;
  const json list = value->is_array() ? *value : json::array({*value});
  for (const json& token : list) {
    if (!token.is_number_integer() || token.get<double>() < 0 ||
        token.get<double>() >= static_cast<double>(result.vocabulary)) {
      config.keep(
          Error{ErrorKind::corrupt,
                std::string(what) + ": \"eos_token_id\" names no token: " + json_line(token)});
      return;
    }
    result.end_tokens.push_back(token.get<std::int64_t>());
  }
}

}  // namespace

std::int64_t Architecture::query_norm_width() const {
  if (query_key_norm == QueryKeyNorm::none) return 0;
  return query_key_norm == QueryKeyNorm::each_head ? head_width : query_width();
}

std::int64_t Architecture::key_norm_width() const {
  if (query_key_norm == QueryKeyNorm::none) return 0;
  return query_key_norm == QueryKeyNorm::each_head ? head_width : kv_width();
}

std::int64_t Architecture::parameters() const {
  const std::int64_t norms = norm_place == NormPlace::around ? 4 : 2;
  std::int64_t block = 0;
  if (has_norm_weights) block += norms * width + query_norm_width() + key_norm_width();
  for (const Projection projection : projections(*this)) {
    const std::int64_t outputs = projection_outputs(*this, projection);
    block += outputs * projection_inputs(*this, projection);
    if (has_bias(*this, projection)) block += outputs;
  }
  const std::int64_t final_norm = has_norm_weights ? width : 0;
  return layers * block + vocabulary * width * (tied_embeddings ? 1 : 2) + final_norm;
}

Result<Architecture> architecture_from_json(const json& object, std::string_view what) {
  if (!object.is_object()) {
    return Error{ErrorKind::corrupt, std::string(what) + " must be a JSON object"};
  }
  ConfigFields config(object, what);
  Architecture result;
  result.model_type = config.text("model_type", "");
  const Family* const family = family_named(result.model_type);
  if (family == nullptr) {
    config.refuse(result.model_type.empty()
                      ? "it does not say its model_type"
                      : "\"model_type\": \"" + result.model_type + "\" is not supported");
    return *config.fault();
  }
  refuse_unknown_choices(config, *family);

  result.width = config.count("hidden_size");
  result.layers = config.count("num_hidden_layers");
  result.heads = config.count("num_attention_heads");
  // Null means as many as heads in every family, absent what the family says.
  result.kv_heads = config.count("num_key_value_heads",
                                 family->kv_heads == 0 || config.is_null("num_key_value_heads")
                                     ? result.heads
                                     : family->kv_heads);
  result.head_width = config.count(
      "head_dim", family->head_width > 0 ? family->head_width
                                         : std::max<std::int64_t>(result.width / result.heads, 1));
  result.ff_width = config.count("intermediate_size");
  result.vocabulary = config.count("vocab_size");
  result.max_positions = config.count("max_position_embeddings", family->max_positions);
  result.norm_eps = config.positive("rms_norm_eps", family->norm_eps);
  result.tied_embeddings = config.flag("tie_word_embeddings", family->tied_embeddings);
  result.query_key_norm = family->query_key_norm;
  result.norm_place = family->norm_place;
  result.one_plus_norms = family->one_plus_norms;
  result.has_norm_weights = family->has_norm_weights;
  result.norms_embedding = family->norms_embedding;
  result.norms_after_rope = family->norms_after_rope;
  result.turns_backwards = family->turns_backwards;
  result.has_gate = family->has_gate;
  result.activation = family->activation;
  result.soft_caps = {
      .attention = soft_cap(config, "attn_logit_softcapping", family->attention_cap),
      .logits = soft_cap(config, "final_logit_softcapping", family->logit_cap)};
  result.fused_projections = family->fused_projections;
  read_biases(config, *family, result);
  read_multipliers(config, *family, result);
  read_layer_choices(config, *family, result);
  read_ropes(config, *family, result);
  read_end_tokens(config, what, result);
  read_quantization(config, what, result);

  if (result.heads % result.kv_heads != 0) {
    config.keep(Error{ErrorKind::corrupt, std::string(what) + ": num_attention_heads (" +
                                              std::to_string(result.heads) +
                                              ") is no multiple of num_key_value_heads (" +
                                              std::to_string(result.kv_heads) + ")"});
  }
  if (result.head_width % 2 != 0) {
    config.keep(Error{ErrorKind::corrupt, std::string(what) + ": head_dim (" +
                                              std::to_string(result.head_width) + ") is odd"});
  }
  if (config.fault()) return *config.fault();
  return result;
}

Result<Architecture> read_architecture(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "config.json";
  const Result<std::string> text = read_file(path);
  if (!text) {
    if (!nanochat_steps(model_dir).empty()) {
      return Error{ErrorKind::unsupported,
                   model_dir.string() + " is a checkpoint of nanochat, not a model's folder",
                   "`train import --nanochat " + model_dir.string() +
                       " --out DIR` makes one of it; then model.base: DIR"};
    }
    return Error{text.error().kind, text.error().message,
                 "model.base must name a folder with config.json, tokenizer.json and safetensors"};
  }
  const Result<json> config = parse_json(*text, path.string());
  if (!config) return config.error();
  return architecture_from_json(*config, path.string());
}

}  // namespace mayfly
