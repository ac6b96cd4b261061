// What must be the same before and after a stop, or going on would be another run: the data as
// tokens, seed, batches, schedule, optimizer, adapter, type of computing and base model.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/result.h"
#include "core/run/plan.h"
#include "core/text/dataset.h"
#include "trainer/nn/lora.h"

namespace mayfly {

// By name, in words or as a digest. Paths are not part of it: a run may move to another machine.
// Reads the model's config.json and the sizes of its weights, not the weights.
std::map<std::string, std::string> run_identity(const RunPlan& plan, const Dataset& data,
                                                const LoraShape& adapter, const std::string& type,
                                                std::int64_t total_steps);
// The base model's part of it: digest of config.json with the sizes of the weight files.
Result<std::string> model_digest(const std::filesystem::path& model_dir);

// Error: invalid_config, naming every difference.
Status check_identity(const std::map<std::string, std::string>& saved,
                      const std::map<std::string, std::string>& ours,
                      const std::string& checkpoint);

}  // namespace mayfly
