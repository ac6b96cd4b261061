// The files that other programs read: an adapter as `peft.PeftModel.from_pretrained(base, folder)`
// takes it, with the base model's tokenizer and a model card.
//
//   adapter_model.safetensors  adapter_config.json  README.md
//   tokenizer*  special_tokens_map.json  chat_template.jinja   copied, those that there are
//
// Knows bytes, not tensors. Format: peft 0.21.2, LoraConfig and save_pretrained.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/lora_config.h"
#include "core/model/safetensors.h"
#include "core/result.h"

namespace mayfly {

struct AdapterFiles {
  std::vector<StoredTensor> tensors;  // names as peft writes them, float32
  std::string config;                 // adapter_config.json's text
  std::string model_card;             // "": no README.md
  std::filesystem::path model_dir;    // of the base model, for its tokenizer
  std::string chat_template = {};     // Jinja, instead of the model's; "": that
};

// What adapter_config.json says. `targets` are the projections by name; `base` is the hub id or
// whatever the user gave.
struct AdapterDescription {
  std::string base;
  std::int64_t rank = 0;
  double alpha = 0;
  double dropout = 0;
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<std::string> targets;
};
std::string adapter_config_json(const AdapterDescription& description);

// `folder` exists and is not yet visible to others: the caller renames it. Errors as write_file.
Status write_adapter_files(const std::filesystem::path& folder, const AdapterFiles& files);

}  // namespace mayfly
