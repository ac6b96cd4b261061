#include "core/model/architecture.h"

#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"

namespace mayfly {

namespace {

using nlohmann::json;

// What sets a family apart from the others. One row a family; the defaults are those of its
// configuration class in transformers, which leaves out of config.json what equals them.
struct Family {
  std::string_view model_type;
  double default_rope_theta;
  double default_norm_eps;
  bool default_tied_embeddings;
  std::int64_t default_max_positions;
};
constexpr std::array kFamilies = {Family{"llama", 10000.0, 1e-6, false, 2048}};

std::string family_list() {
  std::string names;
  for (const Family& family : kFamilies) {
    if (!names.empty()) names += ", ";
    names += family.model_type;
  }
  return names;
}

// Reads fields of one JSON object and keeps the first fault, so that the caller can read them all
// and look once.
class Fields {
 public:
  Fields(const json& object, std::string_view what) : object_(object), what_(what) {}

  // nullptr: absent or null.
  const json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  std::int64_t count(const char* key, std::optional<std::int64_t> otherwise = {}) {
    const json* const value = find(key);
    if (value == nullptr && otherwise) return *otherwise;
    // Upper bound: products of two sizes stay far below 2^63.
    constexpr std::int64_t kMost = std::int64_t{1} << 30;
    if (value == nullptr || !value->is_number_integer() || value->get<double>() < 1 ||
        value->get<double>() > static_cast<double>(kMost)) {
      fail(key, "a whole number from 1 to 2^30");
      return 1;
    }
    return value->get<std::int64_t>();
  }

  double positive(const char* key, std::optional<double> otherwise = {}) {
    const json* const value = find(key);
    if (value == nullptr && otherwise) return *otherwise;
    if (value == nullptr || !value->is_number() || !(value->get<double>() > 0) ||
        !std::isfinite(value->get<double>())) {
      fail(key, "a positive number");
      return 1;
    }
    return value->get<double>();
  }

  bool flag(const char* key, bool otherwise) {
    const json* const value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) fail(key, "true or false");
    return value->is_boolean() && value->get<bool>();
  }

  std::string text(const char* key, std::string otherwise) {
    const json* const value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_string()) fail(key, "a text");
    return value->is_string() ? value->get<std::string>() : otherwise;
  }

  void refuse(const std::string& why) {
    keep(Error{ErrorKind::unsupported, std::string(what_) + ": " + why,
               "supported families: " + family_list()});
  }

  const std::optional<Error>& fault() const {
    return fault_;
  }
  void keep(Error error) {
    if (!fault_) fault_ = std::move(error);
  }

 private:
  void fail(const char* key, const char* wanted) {
    const json* const value = find(key);
    keep(Error{ErrorKind::corrupt,
               std::string(what_) + ": \"" + key + "\" must be " + wanted +
                   (value == nullptr ? ", and is missing" : ", not " + json_line(*value))});
  }

  const json& object_;
  std::string_view what_;
  std::optional<Error> fault_;
};

// `rope_parameters` is what transformers 5 writes; before, `rope_theta` stood outside and
// `rope_scaling` held the rest, with its kind under "rope_type" or, older, "type".
void read_rope(Fields& config, const Family& family, std::string_view what, Architecture& result) {
  const json* const parameters = config.find("rope_parameters");
  const json* const scaling = parameters != nullptr ? parameters : config.find("rope_scaling");
  result.rope_theta = config.positive("rope_theta", family.default_rope_theta);
  if (scaling == nullptr) return;
  if (!scaling->is_object()) {
    config.keep(
        Error{ErrorKind::corrupt, std::string(what) + ": the rope settings must be an object"});
    return;
  }
  Fields rope(*scaling, what);
  if (rope.find("rope_theta") != nullptr) result.rope_theta = rope.positive("rope_theta");
  const std::string kind = rope.text("rope_type", rope.text("type", "default"));
  if (kind == "llama3") {
    result.rope_scaling = RopeScaling{
        .factor = rope.positive("factor"),
        .low_frequency_factor = rope.positive("low_freq_factor"),
        .high_frequency_factor = rope.positive("high_freq_factor"),
        .original_positions = rope.positive("original_max_position_embeddings"),
    };
    if (result.rope_scaling.high_frequency_factor <= result.rope_scaling.low_frequency_factor) {
      rope.keep(Error{ErrorKind::corrupt,
                      std::string(what) + ": high_freq_factor must be above low_freq_factor"});
    }
  } else if (kind != "default") {
    rope.refuse("rope scaling \"" + kind + "\" is not supported");
  }
  if (rope.positive("partial_rotary_factor", 1.0) != 1.0) {
    rope.refuse("a rope over a part of the head (partial_rotary_factor) is not supported");
  }
  if (rope.fault()) config.keep(*rope.fault());
}

// What would change the arithmetic and is not built.
void refuse_unknown_choices(Fields& config) {
  if (const std::string act = config.text("hidden_act", "silu"); act != "silu") {
    config.refuse("the activation \"" + act + "\" is not supported, only silu");
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (config.flag(key, false)) {
      config.refuse(std::string(key) + ": linear layers with a bias are not supported");
    }
  }
}

// Of the quantised checkpoints only those in bitsandbytes' NF4 are read.
void read_quantization(Fields& config, std::string_view what, Architecture& result) {
  const json* const value = config.find("quantization_config");
  if (value == nullptr) return;
  if (!value->is_object()) {
    config.keep(Error{ErrorKind::corrupt,
                      std::string(what) + ": \"quantization_config\" must be an object"});
    return;
  }
  Fields quantization(*value, what);
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

void read_end_tokens(Fields& config, std::string_view what, Architecture& result) {
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

std::int64_t Architecture::parameters() const {
  const std::int64_t attention = 2 * width * (query_width() + kv_width());
  const std::int64_t block = attention + 3 * width * ff_width + 2 * width;
  return layers * block + vocabulary * width * (tied_embeddings ? 1 : 2) + width;
}

Result<Architecture> architecture_from_json(const json& object, std::string_view what) {
  if (!object.is_object()) {
    return Error{ErrorKind::corrupt, std::string(what) + " must be a JSON object"};
  }
  Fields config(object, what);
  Architecture result;
  result.model_type = config.text("model_type", "");
  const Family* family = nullptr;
  for (const Family& candidate : kFamilies) {
    if (candidate.model_type == result.model_type) family = &candidate;
  }
  if (family == nullptr) {
    config.refuse(result.model_type.empty()
                      ? "it does not say its model_type"
                      : "the model type \"" + result.model_type + "\" is not supported");
    return *config.fault();
  }
  refuse_unknown_choices(config);

  result.width = config.count("hidden_size");
  result.layers = config.count("num_hidden_layers");
  result.heads = config.count("num_attention_heads");
  result.kv_heads = config.count("num_key_value_heads", result.heads);
  result.head_width =
      config.count("head_dim", std::max<std::int64_t>(result.width / result.heads, 1));
  result.ff_width = config.count("intermediate_size");
  result.vocabulary = config.count("vocab_size");
  result.max_positions = config.count("max_position_embeddings", family->default_max_positions);
  result.norm_eps = config.positive("rms_norm_eps", family->default_norm_eps);
  result.tied_embeddings = config.flag("tie_word_embeddings", family->default_tied_embeddings);
  read_rope(config, *family, what, result);
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
    return Error{text.error().kind, text.error().message,
                 "model.base must name a folder with config.json, tokenizer.json and safetensors"};
  }
  const Result<json> config = parse_json(*text, path.string());
  if (!config) return config.error();
  return architecture_from_json(*config, path.string());
}

}  // namespace mayfly
