// The words of `train`: verbs, flags, help. Reads them into values and does nothing else; the only
// file of the trainer that knows CLI11.
//
// Flags of `train sft` come from the fields' own descriptions (core/config/field_list.h). Verbs and
// flags that the guides name and this version does not have are refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/load.h"
#include "core/config/quant_config.h"
#include "core/config/train_config.h"
#include "core/model/gguf.h"
#include "core/model/safetensors.h"
#include "core/result.h"
#include "core/terminal.h"

namespace mayfly {

// eval, generate and chat.
struct ModelFlags {
  std::string model_dir;
  std::string adapter_dir;  // "": the base model alone
  Device device = Device::automatic;
  std::optional<std::int64_t> threads;
  std::optional<bool> bf16;
  QuantConfig quant = {};
};

struct EvaluateFlags {
  std::vector<std::string> data;
  std::int64_t cutoff_len = 0;  // 0: the default of data.cutoff_len
  bool train_on_all = false;
  bool exact_match = false;  // answers with the right number, not the loss; what follows is for it
  std::int64_t limit = 0;    // rows; 0: all
  std::int64_t max_new_tokens = 256;
  std::string samples;  // file to append each question and its answers to; "": none
};

struct GenerateFlags {
  std::string prompt;  // not of chat
  std::string system;  // "": none
  std::int64_t max_new_tokens = 256;
  double temperature = 0.0;
  double top_p = 1.0;
  std::int64_t seed = 42;
};

// merge, export and import.
struct ExportFlags {
  std::string out;
  std::optional<TensorType> type;  // merge, import; absent: as in the model's files
  GgufType gguf = GgufType::f16;   // export
  double max_shard_gb = 5.0;
};

// import.
struct ImportFlags {
  std::string checkpoint_dir;
  std::string tokenizer_dir;         // "": looked for
  std::optional<std::int64_t> step;  // absent: the last
};

struct TrainCommandLine {
  std::string verb = "sft";  // sft, eval, generate, chat, merge, export, import, env
  std::string run_dir;       // of sft: started by the agent
  bool dry_run = false;      // of sft
  std::vector<std::string> config_files;
  std::vector<CommandLineValue> settings;
  ModelFlags model;
  EvaluateFlags evaluate;
  GenerateFlags generate;
  ExportFlags exported;
  ImportFlags imported;
  bool json = false;
  int verbosity = 0;  // -q: -1, -v: 1
  ColorChoice color = ColorChoice::automatic;
  std::string show;  // help or version: print it and exit 0
};

// Errors: usage, with the nearest verb or flag; unsupported for what is not built.
Result<TrainCommandLine> parse_train(const std::vector<std::string>& arguments);

}  // namespace mayfly
