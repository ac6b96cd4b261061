// A base model that is named by its hub id: what the plan needs of it, without its weights.
//
// The small files (configuration, tokenizer, chat template) are fetched into the cache folder, so
// that the laptop counts with the tokenizer that trains; the weights are only listed. The revision
// becomes a commit here, once: what is planned is what the machine fetches.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/config/run_config.h"
#include "core/result.h"
#include "launcher/hub_choice.h"

namespace mayfly {

struct RemoteModel {
  std::string commit;
  std::filesystem::path folder;  // in the cache, with the small files
  std::int64_t weight_bytes = 0;
};

// Whether model.base reads as a hub id and is no folder in `working_directory`.
bool is_hub_id(const std::string& base, const std::filesystem::path& working_directory);

// Asks the hub that results go to; the machine fetches from there, too. Errors: not_found,
// unauthorized (gated, or the token is refused), unreachable, unsupported (no safetensors in it).
Result<RemoteModel> preview_model(const ModelConfig& model, const HubChoice& hub, Clock& clock);

// Of a run whose model.base is a hub id: preview_model on the hub that the run chooses; nullopt
// for a folder.
Result<std::optional<RemoteModel>> look_at_model(const RunConfig& config, Clock& clock);

}  // namespace mayfly
