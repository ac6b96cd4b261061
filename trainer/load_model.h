// A model folder, ready to compute with: architecture, weights, tokenizer and chat template.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/config/lora_config.h"
#include "core/config/quant_config.h"
#include "core/result.h"
#include "core/text/dataset.h"
#include "trainer/device.h"
#include "trainer/nn/lora.h"
#include "trainer/nn/transformer.h"

namespace mayfly {

struct LoadedModel {
  Transformer transformer;
  TextModel text;
};

// `today` is what the chat template may ask for. Errors: not_found, corrupt, unsupported, each with
// the file.
Result<LoadedModel> load_model(const std::filesystem::path& folder, WallTime today,
                               const ComputeDevice& device, const QuantConfig& quant);

// The adapter in `folder`; nullopt if `folder` is empty.
Result<std::optional<LoraAdapter>> load_adapter(const Transformer& model,
                                                const std::string& folder);

// A new adapter as `config` says, or the one it starts from. `seed` is the run's.
Result<LoraAdapter> make_adapter(const Transformer& model, const LoraConfig& config,
                                 std::uint64_t seed);

}  // namespace mayfly
