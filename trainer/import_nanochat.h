// `train import --nanochat`: a checkpoint that nanochat wrote, as a folder that transformers loads
// as NanoChatForCausalLM and that trains here as any model: config.json, weights as safetensors,
// tokenizer.json and tokenizer_config.json with the chat template.
//
// No Python is needed and nothing in the checkpoint is run (core/pickle.h). Memory besides the
// mapped file: the largest tensor, converted, and the tokenizer, 40 MB for 65,536 tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/model/safetensors.h"
#include "core/result.h"

namespace mayfly {

struct NanochatImport {
  std::string checkpoint_dir;
  std::string tokenizer_dir;         // "": where nanochat keeps it, or the checkpoint's folder
  std::string out_dir;               // must not exist
  std::optional<std::int64_t> step;  // absent: the last
  std::optional<TensorType> type;    // of the weights; absent: each as in the checkpoint
  std::int64_t most_shard_bytes = 5'000'000'000;
};

struct ImportedModel {
  std::int64_t step = 0;
  std::int64_t tensors = 0;
  std::int64_t parameters = 0;
  std::int64_t shards = 0;
  std::int64_t bytes = 0;  // of the weights
};

// The folder appears by rename. Errors: usage (out_dir exists), not_found, corrupt (also where
// checkpoint and tokenizer do not belong together), unsupported, those of write_file.
Result<ImportedModel> import_nanochat(const NanochatImport& request);

}  // namespace mayfly
