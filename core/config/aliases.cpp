#include "core/config/aliases.h"

#include <array>

#include "core/config/run_config.h"
#include "core/config/visit.h"

namespace mayfly {

namespace {

// `experiment`, `lambda` and `wandb` are the sections of the Lambda guide's experiment.yaml;
// `preprocess` and the keys under `train` those of the Docker guide's config.yaml.
constexpr std::array kAliases = {
    Alias{"experiment.animal", "generate.vars.animal"},
    Alias{"experiment.base_model", "model.base"},
    Alias{"experiment.data_count", "generate.count"},
    Alias{"experiment.seeds", "run.seeds"},
    Alias{"experiment.max_seq_length", "data.cutoff_len"},
    Alias{"experiment.max_train_samples", "data.max_train_samples"},
    Alias{"experiment.checkpoint_upload_every_n_epochs", "hub.checkpoint_every_epochs"},
    Alias{"experiment.repo_url", "code.git_url"},
    Alias{"experiment.remote_dir", "code.remote_dir"},
    Alias{"experiment.epochs", "train.epochs"},
    Alias{"experiment.effective_batch_size", "train.effective_batch_size"},
    Alias{"experiment.per_device_batch_size", "train.per_device_batch_size"},
    Alias{"experiment.learning_rate", "train.learning_rate"},
    Alias{"experiment.warmup_steps", "train.warmup_steps"},
    Alias{"experiment.logging_steps", "train.logging_steps"},
    Alias{"experiment.save_total_limit", "train.save_total_limit"},
    Alias{"lambda.host", "instance.host"},
    Alias{"lambda.instance_id", "instance.id"},
    Alias{"lambda.ssh_key", "ssh.key"},
    Alias{"lambda.ssh_user", "ssh.user"},
    Alias{"lambda.api_key", "providers.lambda.api_key"},
    Alias{"wandb.*", "tracking.wandb.*"},
    Alias{"preprocess.*", "data.*"},
    Alias{"train.base_model", "model.base"},
    Alias{"train.cutoff_len", "data.cutoff_len"},
    Alias{"train.max_seq_length", "data.cutoff_len"},
    Alias{"train.lora_r", "lora.r"},
    Alias{"train.lora_alpha", "lora.alpha"},
    Alias{"train.lora_dropout", "lora.dropout"},
    Alias{"train.lora_target_modules", "lora.target_modules"},
    Alias{"run_name", "run.name"},
    Alias{"instance.gpu_type", "instance.gpu"},
    Alias{"instance.gpu_count", "instance.num_gpus"},
    Alias{"storage.s3.bucket", "storage.s3_bucket"},
    Alias{"storage.s3.prefix", "storage.s3_prefix"},
    Alias{"storage.s3.region", "storage.s3_region"},
    Alias{"storage.s3.endpoint", "storage.s3_endpoint"},
};

std::string from_table(std::string_view path) {
  for (const Alias& alias : kAliases) {
    if (alias.from == path) return std::string(alias.to);
    if (!alias.from.ends_with(".*")) continue;
    const std::string_view section = alias.from.substr(0, alias.from.size() - 1);
    if (path.starts_with(section)) {
      return std::string(alias.to.substr(0, alias.to.size() - 1)) +
             std::string(path.substr(section.size()));
    }
  }
  return std::string(path);
}

// Whether `word` is one of the words between commas.
bool lists(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const auto comma = words.find(',');
    if (words.substr(0, comma) == word) return true;
    words.remove_prefix(comma == std::string_view::npos ? words.size() : comma + 1);
  }
  return false;
}

}  // namespace

std::span<const Alias> aliases() {
  return kAliases;
}

std::string canonical_path(std::string_view path) {
  std::string name = from_table(path);
  const auto dot = name.find('.');
  if (dot == std::string::npos) return name;
  const std::string section = name.substr(0, dot);
  const std::string key = name.substr(dot + 1);
  for_each_field([&](std::string_view field_section, std::string_view field_key,
                     const FieldDoc& doc, const auto&) {
    if (field_section == section && lists(doc.alias, key)) {
      name = field_path(field_section, field_key);
    }
  });
  return name;
}

}  // namespace mayfly
