// `train merge`: a base model with an adapter in its weights, as a folder that any program reads
// which reads models: safetensors (shards with an index where they are large), config, tokenizer.
//
// Equal to peft's merge_and_unload: the sum in float32, rounded once. Peak memory: one tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/model/safetensors.h"
#include "core/result.h"

namespace mayfly {

struct MergeRequest {
  std::string model_dir;
  std::string adapter_dir;
  std::string out_dir;             // must not exist
  std::optional<TensorType> type;  // of floating-point weights; absent: as in the model's files
  std::int64_t most_shard_bytes = 5'000'000'000;
};

struct MergedModel {
  std::int64_t tensors = 0;
  std::int64_t adapted = 0;  // of them
  std::int64_t shards = 0;
  std::int64_t bytes = 0;  // of the weights
};

// The folder appears by rename. Errors: usage (out_dir exists), not_found, corrupt, unsupported,
// diverged, those of write_file.
Result<MergedModel> merge(const MergeRequest& request);

}  // namespace mayfly
