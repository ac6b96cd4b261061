// Reading an adapter as peft writes it: adapter_config.json and adapter_model.safetensors.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/safetensors.h"
#include "trainer/nn/lora.h"
#include "trainer/nn/stored_tensor.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Keys of adapter_config.json that are read below, or that say nothing about the arithmetic of a
// finished adapter. Every other key must be null, false or empty: peft has dozens of variants
// (rank patterns, biases, ...) and adds more, and each changes what the numbers mean.
constexpr auto kKnownKeys = std::to_array<std::string_view>(
    {"auto_mapping", "base_model_name_or_path", "bias", "inference_mode", "init_lora_weights",
     "lora_alpha", "lora_dropout", "megatron_core", "peft_type", "peft_version",
     "qalora_group_size", "r", "revision", "target_modules", "task_type", "use_dora",
     "use_rslora"});

// Start values that also change the base model's weights: the adapter alone is not the result.
constexpr auto kChangesTheBase =
    std::to_array<std::string_view>({"pissa", "olora", "loftq", "corda", "lora_ga"});

Error refuse(const fs::path& path, const std::string& why) {
  return Error{ErrorKind::unsupported, path.string() + ": " + why,
               "supported: LoRA and DoRA on linear layers of the blocks, with or without rslora"};
}

bool is_nothing(const json& value) {
  return value.is_null() || value == false ||
         ((value.is_array() || value.is_object() || value.is_string()) && value.empty());
}

std::optional<Error> refusal(const json& config, const fs::path& path) {
  if (config.value("peft_type", json("")) != "LORA") {
    return refuse(path, "peft_type is not LORA");
  }
  if (config.value("bias", json("none")) != "none") return refuse(path, "it has biases");
  const json start = config.value("init_lora_weights", json(true));
  for (const std::string_view method : kChangesTheBase) {
    if (start.is_string() && start.get<std::string>().starts_with(method)) {
      return refuse(path, "init_lora_weights \"" + start.get<std::string>() +
                              "\" changes the base model as well");
    }
  }
  for (const auto& [key, value] : config.items()) {
    const bool known = std::find(kKnownKeys.begin(), kKnownKeys.end(), key) != kKnownKeys.end();
    if (!known && !is_nothing(value)) {
      return refuse(path, "\"" + key + "\": " + json_line(value) + " is not supported");
    }
  }
  return std::nullopt;
}

Result<double> number(const json& config, const char* key, const fs::path& path) {
  const json value = config.value(key, json());
  if (!value.is_number()) {
    return Error{ErrorKind::corrupt, path.string() + ": \"" + key + "\" must be a number"};
  }
  return value.get<double>();
}

Result<std::vector<Projection>> read_targets(const json& config, const fs::path& path,
                                             const Architecture& architecture) {
  const json targets = config.value("target_modules", json());
  std::vector<std::string> names;
  if (targets.is_string()) names.push_back(targets.get<std::string>());
  for (const json& target : targets.is_array() ? targets : json::array()) {
    if (!target.is_string()) return refuse(path, "target_modules must be a list of names");
    names.push_back(target.get<std::string>());
  }
  Result<std::vector<Projection>> known = projections_named(names, architecture);
  if (!known) return refuse(path, "target_modules " + json_line(targets) + ": not all are known");
  return known;
}

}  // namespace

Result<LoraShape> lora_shape_from(const LoraConfig& config, const Architecture& architecture) {
  Result<std::vector<Projection>> targets = projections_named(config.target_modules, architecture);
  if (!targets) return targets.error();
  return LoraShape{.rank = config.r,
                   .alpha = config.alpha,
                   .dropout = config.dropout,
                   .use_rslora = config.use_rslora,
                   .use_dora = config.use_dora,
                   .targets = std::move(*targets)};
}

Result<LoraShape> read_lora_shape(const fs::path& adapter_dir, const Architecture& architecture) {
  const fs::path path = adapter_dir / "adapter_config.json";
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<json> config = parse_json(*text, path.string());
  if (!config) return config.error();
  if (!config->is_object()) return Error{ErrorKind::corrupt, path.string() + " must be an object"};
  if (const auto refused = refusal(*config, path)) return *refused;

  const Result<double> rank = number(*config, "r", path);
  if (!rank) return rank.error();
  const Result<double> alpha = number(*config, "lora_alpha", path);
  if (!alpha) return alpha.error();
  Result<std::vector<Projection>> targets = read_targets(*config, path, architecture);
  if (!targets) return targets.error();
  const json dropout_value = config->value("lora_dropout", json(0.0));
  const double dropout = dropout_value.is_number() ? dropout_value.get<double>() : -1.0;
  if (*rank < 1 || *rank > 65536 || *rank != static_cast<double>(static_cast<int>(*rank)) ||
      !(dropout >= 0 && dropout < 1)) {
    return Error{ErrorKind::corrupt, path.string() + ": r or lora_dropout is out of range"};
  }
  return LoraShape{.rank = static_cast<std::int64_t>(*rank),
                   .alpha = *alpha,
                   .dropout = dropout,
                   .use_rslora = config->value("use_rslora", json(false)) == true,
                   .use_dora = config->value("use_dora", json(false)) == true,
                   .targets = std::move(*targets)};
}

Result<LoraAdapter> LoraAdapter::read(const Architecture& architecture, const fs::path& adapter_dir,
                                      at::Device device, at::ScalarType type) {
  Result<LoraShape> shape = read_lora_shape(adapter_dir, architecture);
  if (!shape) return shape.error();
  const fs::path path = adapter_dir / "adapter_model.safetensors";
  const Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file) return file.error();

  LoraAdapter adapter(architecture, std::move(*shape), device, type);
  const std::vector<NamedTensor> wanted = adapter.named(adapter.values_);
  for (const NamedTensor& tensor : wanted) {
    const StoredTensor* const stored = file->find(tensor.name);
    if (stored == nullptr) {
      return Error{ErrorKind::corrupt, path.string() + ": \"" + tensor.name + "\" is missing"};
    }
    if (at::IntArrayRef(stored->shape) != tensor.value.sizes()) {
      return Error{ErrorKind::corrupt, path.string() + ": \"" + tensor.name +
                                           "\" does not fit the base model and rank"};
    }
    const Result<at::Tensor> mapped = mapped_tensor(*stored);
    if (!mapped) return while_doing("reading " + path.string(), mapped.error());
    tensor.value.copy_(*mapped);
  }
  if (file->tensors().size() != wanted.size()) {
    return refuse(path, "it has " + std::to_string(file->tensors().size()) + " tensors, and " +
                            std::to_string(wanted.size()) + " belong to its target_modules");
  }
  adapter.refresh();
  return adapter;
}

}  // namespace mayfly
