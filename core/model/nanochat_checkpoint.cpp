#include "core/model/nanochat_checkpoint.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/weight_names.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::int64_t kMostNanochatLayers = 10'000;
constexpr std::int64_t kLargestSize = std::int64_t{1} << 31;
constexpr std::int64_t kPaddedTo = 64;                    // gpt.py: pad_vocab_size_to
constexpr std::int64_t kWider = 4;                        // the feed-forward half
constexpr double kFloatEpsilon = 1.1920928955078125e-07;  // 2^-23: rms_norm without an eps

constexpr std::array kShapeKeys = {std::pair{"sequence_len", &NanochatShape::sequence_len},
                                   std::pair{"vocab_size", &NanochatShape::vocab_size},
                                   std::pair{"n_layer", &NanochatShape::n_layer},
                                   std::pair{"n_head", &NanochatShape::n_head},
                                   std::pair{"n_kv_head", &NanochatShape::n_kv_head},
                                   std::pair{"n_embd", &NanochatShape::n_embd}};
constexpr const char* kTheirEmbedding = "transformer.wte.weight";
constexpr const char* kWindowPattern = "window_pattern";

struct LayerName {
  const char* theirs;
  Projection ours;
};
constexpr std::array kLayerNames = {
    LayerName{"attn.c_q", Projection::q},   LayerName{"attn.c_k", Projection::k},
    LayerName{"attn.c_v", Projection::v},   LayerName{"attn.c_proj", Projection::o},
    LayerName{"mlp.c_fc", Projection::fc1}, LayerName{"mlp.c_proj", Projection::fc2},
};

std::string checkpoint_file(const char* kind, std::int64_t step, const char* ending) {
  char name[64];
  std::snprintf(name, sizeof name, "%s_%06lld.%s", kind, static_cast<long long>(step), ending);
  return name;
}

std::string shape_words(const std::vector<std::int64_t>& shape) {
  std::string words;
  for (const std::int64_t size : shape) {
    words += (words.empty() ? "" : ", ") + std::to_string(size);
  }
  return "(" + words + ")";
}

// The layers but the last take the pattern's letters in turn; the last one sees everything.
bool has_windows(const std::string& pattern, std::int64_t layers) {
  if (pattern.empty()) return true;
  for (std::int64_t layer = 0; layer + 1 < layers; ++layer) {
    const auto at = static_cast<std::size_t>(layer) % pattern.size();
    if (pattern[at] != 'L' && pattern[at] != 'l') return true;
  }
  return false;
}

Status check_shape(const NanochatShape& shape, std::string_view what) {
  const auto wrong = [what](const std::string& why) {
    return Error{ErrorKind::corrupt, std::string(what) + ": model_config: " + why};
  };
  for (const auto& [key, member] : kShapeKeys) {
    if (shape.*member < 1 || shape.*member > kLargestSize) {
      return wrong(std::string(key) + " is missing, or no number that can be");
    }
  }
  if (shape.n_layer > kMostNanochatLayers) return wrong("n_layer is more than 10,000");
  if (shape.n_embd % (2 * shape.n_head) != 0) {
    return wrong("n_head " + std::to_string(shape.n_head) + " does not divide n_embd " +
                 std::to_string(shape.n_embd) + " to an even number");
  }
  if (shape.n_head % shape.n_kv_head != 0) {
    return wrong("n_kv_head " + std::to_string(shape.n_kv_head) + " does not divide n_head " +
                 std::to_string(shape.n_head));
  }
  return Unit{};
}

Architecture architecture_of(const NanochatShape& shape) {
  Architecture architecture;
  architecture.width = shape.n_embd;
  architecture.layers = shape.n_layer;
  architecture.heads = shape.n_head;
  architecture.kv_heads = shape.n_kv_head;
  architecture.head_width = shape.n_embd / shape.n_head;
  architecture.ff_width = kWider * shape.n_embd;
  architecture.vocabulary = shape.vocab_size;
  architecture.has_gate = false;
  return architecture;
}

// Takes the tensors of one file away one by one; what is left at the end has no place.
class TensorTaker {
 public:
  TensorTaker(const std::vector<StoredTensor>& stored, std::string_view what) : what_(what) {
    for (const StoredTensor& tensor : stored) {
      std::string_view name = tensor.name;
      if (name.starts_with(kCompiled)) name.remove_prefix(kCompiled.size());
      left_.emplace(name, &tensor);
    }
  }

  // With `rows` cut off below, if there are the rows of a padded vocabulary.
  Status take(const std::string& theirs, std::string ours, std::int64_t rows,
              std::int64_t columns) {
    const auto found = left_.find(theirs);
    if (found == left_.end()) {
      return Error{ErrorKind::corrupt, what_ + ": the tensor \"" + theirs + "\" is missing"};
    }
    StoredTensor tensor = *found->second;
    left_.erase(found);
    const std::vector<std::int64_t> expected = {rows, columns};
    const std::int64_t padded = (rows + kPaddedTo - 1) / kPaddedTo * kPaddedTo;
    const bool is_padded = may_be_padded(theirs) && tensor.shape == std::vector{padded, columns};
    if (tensor.shape != expected && !is_padded) {
      return Error{ErrorKind::corrupt, what_ + ": the tensor \"" + theirs + "\" has shape " +
                                           shape_words(tensor.shape) +
                                           ", and the meta file makes it " + shape_words(expected)};
    }
    tensor.name = std::move(ours);
    tensor.shape = expected;
    tensor.bytes = tensor.bytes.first(
        static_cast<std::size_t>(rows * columns * tensor_type_bytes(tensor.type)));
    taken_.push_back(std::move(tensor));
    return Unit{};
  }

  // Scales that newer nanochats give each layer: the arithmetic is the same where all are `value`.
  Status take_neutral(const std::string& theirs, float value) {
    const auto found = left_.find(theirs);
    if (found == left_.end()) return Unit{};
    const StoredTensor& tensor = *found->second;
    left_.erase(found);
    for (std::size_t at = 0; at + sizeof value <= tensor.bytes.size(); at += sizeof value) {
      float each = 0.0F;
      std::memcpy(&each, tensor.bytes.data() + at, sizeof each);
      if (tensor.type == TensorType::f32 && each == value) continue;
      return no_place(theirs, value == 0.0F ? "is not 0 everywhere" : "is not 1 everywhere");
    }
    return Unit{};
  }

  Status check_rest() const {
    if (left_.empty()) return Unit{};
    return no_place(std::string(left_.begin()->first), "is there");
  }

  std::vector<StoredTensor> taken() {
    return std::move(taken_);
  }

 private:
  static constexpr std::string_view kCompiled = "_orig_mod.";  // torch.compile's

  static bool may_be_padded(std::string_view theirs) {
    return theirs == kTheirEmbedding || theirs == kHeadName;
  }
  Error no_place(const std::string& theirs, const char* why) const {
    return {ErrorKind::unsupported,
            what_ + ": \"" + theirs + "\" " + why +
                ", which the NanoChat of transformers has no place for",
            "only models of nanochat without value embeddings, scaled residuals and windows "
            "(October 2025 to January 2026) can be imported"};
  }

  std::string what_;
  std::map<std::string_view, const StoredTensor*> left_;
  std::vector<StoredTensor> taken_;
};

std::string steps_listed(const std::vector<std::int64_t>& steps) {
  std::string list;
  for (const std::int64_t step : steps) list += (list.empty() ? "" : ", ") + std::to_string(step);
  return list;
}

}  // namespace

Result<NanochatShape> nanochat_shape(const json& meta, std::string_view what) {
  if (!meta.is_object() || !meta.contains("model_config") || !meta["model_config"].is_object()) {
    return Error{ErrorKind::corrupt, std::string(what) + ": there is no object \"model_config\""};
  }
  const json& config = meta["model_config"];
  NanochatShape shape;
  for (const auto& [key, member] : kShapeKeys) {
    if (config.contains(key) && config[key].is_number_integer()) {
      shape.*member = config[key].get<std::int64_t>();
    }
  }
  for (const auto& [key, value] : config.items()) {
    const bool known = key == kWindowPattern ||
                       std::any_of(kShapeKeys.begin(), kShapeKeys.end(),
                                   [&key](const auto& each) { return key == each.first; });
    if (known) continue;
    return Error{ErrorKind::unsupported, std::string(what) + ": model_config has " + key + " " +
                                             json_line(value) + ", which is not known"};
  }
  if (Status checked = check_shape(shape, what); !checked) return checked.error();
  if (config.contains(kWindowPattern) &&
      has_windows(text_at(config, kWindowPattern), shape.n_layer)) {
    return Error{ErrorKind::unsupported,
                 std::string(what) + ": model_config has window_pattern " +
                     json_line(config[kWindowPattern]) +
                     ": layers that see only a window, which "
                     "the NanoChat of transformers does not have",
                 "only models that see everything (\"L\", or without the key) can be imported"};
  }
  return shape;
}

Result<std::vector<StoredTensor>> nanochat_tensors(const std::vector<StoredTensor>& stored,
                                                   const NanochatShape& shape,
                                                   std::string_view what) {
  TensorTaker taker(stored, what);
  // First what tells a newer model: its other differences would be reported as damage.
  if (Status neutral = taker.take_neutral("resid_lambdas", 1.0F); !neutral) return neutral.error();
  if (Status neutral = taker.take_neutral("x0_lambdas", 0.0F); !neutral) return neutral.error();
  const Architecture architecture = architecture_of(shape);
  Status taken =
      taker.take(kTheirEmbedding, std::string(kEmbeddingName), shape.vocab_size, shape.n_embd);
  if (!taken) return taken.error();
  for (std::int64_t layer = 0; layer < shape.n_layer; ++layer) {
    for (const LayerName& name : kLayerNames) {
      taken = taker.take("transformer.h." + std::to_string(layer) + "." + name.theirs + ".weight",
                         projection_weight_name(layer, name.ours),
                         projection_outputs(architecture, name.ours),
                         projection_inputs(architecture, name.ours));
      if (!taken) return taken.error();
    }
  }
  taken =
      taker.take(std::string(kHeadName), std::string(kHeadName), shape.vocab_size, shape.n_embd);
  if (!taken) return taken.error();
  if (Status rest = taker.check_rest(); !rest) return rest.error();
  return taker.taken();
}

json nanochat_config_json(const NanochatShape& shape, const NanochatTokens& tokens,
                          std::string_view dtype) {
  return {{"architectures", {"NanoChatForCausalLM"}},
          {"model_type", "nanochat"},
          {"dtype", dtype},
          {"vocab_size", shape.vocab_size},
          {"hidden_size", shape.n_embd},
          {"intermediate_size", kWider * shape.n_embd},
          {"num_hidden_layers", shape.n_layer},
          {"num_attention_heads", shape.n_head},
          {"num_key_value_heads", shape.n_kv_head},
          {"max_position_embeddings", shape.sequence_len},
          {"hidden_act", "relu2"},
          {"rms_norm_eps", kFloatEpsilon},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 10000.0}}},
          {"final_logit_softcapping", 15.0},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"tie_word_embeddings", false},
          {"bos_token_id", tokens.bos},
          // nanochat's engine.py stops at either.
          {"eos_token_id", {tokens.assistant_end, tokens.bos}},
          {"pad_token_id", tokens.assistant_end}};
}

std::vector<std::int64_t> nanochat_steps(const fs::path& folder) {
  constexpr std::string_view kBegins = "model_", kEnds = ".pt";
  std::vector<std::int64_t> steps;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kBegins) || !name.ends_with(kEnds)) continue;
    const char* const from = name.data() + kBegins.size();
    const char* const to = name.data() + name.size() - kEnds.size();
    std::int64_t step = -1;
    const auto [end, error] = std::from_chars(from, to, step);
    if (from < to && error == std::errc() && end == to && step >= 0 &&
        checkpoint_file("model", step, "pt") == name) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<NanochatCheckpoint> open_nanochat_checkpoint(const fs::path& folder,
                                                    std::optional<std::int64_t> step) {
  const std::vector<std::int64_t> steps = nanochat_steps(folder);
  if (steps.empty()) {
    return Error{ErrorKind::not_found, folder.string() + " has no checkpoint of nanochat",
                 "give the folder with model_NNNNNN.pt and meta_NNNNNN.json, such as "
                 "chatsft_checkpoints/d20"};
  }
  const std::int64_t chosen = step.value_or(steps.back());
  if (std::find(steps.begin(), steps.end(), chosen) == steps.end()) {
    return Error{ErrorKind::not_found,
                 folder.string() + " has no checkpoint of step " + std::to_string(chosen),
                 "there are: " + steps_listed(steps)};
  }
  const fs::path meta_path = folder / checkpoint_file("meta", chosen, "json");
  const Result<std::string> text = read_file(meta_path);
  if (!text) return text.error();
  const Result<json> meta = parse_json(*text, meta_path.string());
  if (!meta) return meta.error();
  const Result<NanochatShape> shape = nanochat_shape(*meta, meta_path.string());
  if (!shape) return shape.error();
  const fs::path model_path = folder / checkpoint_file("model", chosen, "pt");
  Result<TorchArchive> archive = TorchArchive::open(model_path);
  if (!archive) return archive.error();
  Result<std::vector<StoredTensor>> tensors =
      nanochat_tensors(archive->tensors(), *shape, model_path.string());
  if (!tensors) return tensors.error();
  return NanochatCheckpoint{chosen, *shape, std::move(*archive), std::move(*tensors)};
}

}  // namespace mayfly
