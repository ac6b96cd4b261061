// README.md of an adapter: what was trained from what, on which data, how well, and how to load it.
//
// Starts with the YAML block that the hub reads. Everything in it is either plain words or quoted,
// so that no name can break out of it. A base model that is a local folder is not named there: the
// hub refuses names that are not ids.
// Source: huggingface_hub's ModelCardData, peft 0.21.2's card, docs of hub/model-cards.
#pragma once

#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/run/plan.h"
#include "core/text/data_counts.h"
#include "trainer/adapter_folder.h"
#include "trainer/training_state.h"

namespace mayfly {

struct DataFileFact {
  std::string name;  // without its folder: where it lay is nobody's business
  std::string sha256;
};

struct ModelCardFacts {
  std::vector<DataFileFact> data;
  std::vector<SourceCounts> mix = {};  // of data.mix; else empty
  std::int64_t examples = 0;
  std::int64_t tokens_trained_on = 0;  // an epoch
  AdapterDescription adapter;
  std::string device;   // "cpu", "cuda:0 NVIDIA H100"
  std::string type;     // "float32", "bfloat16"
  std::string version;  // of mayfly
  std::string torch_version;
};

std::string model_card(const RunPlan& plan, const TrainingState& state,
                       const ModelCardFacts& facts);

// "org/name": what the hub calls a model. Not a path.
bool is_hub_id(const std::string& base);

}  // namespace mayfly
