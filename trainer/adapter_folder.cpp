#include "trainer/adapter_folder.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "trainer/tokenizer_files.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The release whose format this is, compared with it in tests/oracle_adapter. peft reads the field
// only to word its warnings.
constexpr const char* kPeftVersion = "0.21.2";

// peft's lora_alpha is a whole number wherever it is one.
json number(double value) {
  const bool whole = std::trunc(value) == value && std::abs(value) < 1e15;
  return whole ? json(static_cast<std::int64_t>(value)) : json(value);
}

}  // namespace

std::string adapter_config_json(const AdapterDescription& description) {
  const json config = {{"alpha_pattern", json::object()},
                       {"base_model_name_or_path", description.base},
                       {"bias", "none"},
                       {"exclude_modules", nullptr},
                       {"fan_in_fan_out", false},
                       {"inference_mode", true},
                       {"init_lora_weights", true},
                       {"layers_to_transform", nullptr},
                       {"lora_alpha", number(description.alpha)},
                       {"lora_dropout", description.dropout},
                       {"modules_to_save", nullptr},
                       {"peft_type", "LORA"},
                       {"peft_version", kPeftVersion},
                       {"r", description.rank},
                       {"rank_pattern", json::object()},
                       {"revision", nullptr},
                       {"target_modules", description.targets},
                       {"task_type", "CAUSAL_LM"},
                       {"use_dora", description.use_dora},
                       {"use_rslora", description.use_rslora}};
  return json_text(config);
}

Status write_adapter_files(const fs::path& folder, const AdapterFiles& files) {
  if (Status copied = copy_tokenizer(files.model_dir, folder); !copied) return copied;
  // It wins over the one in tokenizer_config.json, in transformers too.
  if (!files.chat_template.empty()) {
    Status written = write_file(folder / "chat_template.jinja", files.chat_template);
    if (!written) return written;
  }
  if (Status written = write_file(folder / "adapter_config.json", files.config); !written) {
    return written;
  }
  if (!files.model_card.empty()) {
    if (Status written = write_file(folder / "README.md", files.model_card); !written) {
      return written;
    }
  }
  return write_safetensors(folder / "adapter_model.safetensors", files.tensors);
}

}  // namespace mayfly
