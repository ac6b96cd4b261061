// A model's weights on disk as other programs read them: `model.safetensors`, or shards
// `model-00001-of-00003.safetensors` and `model.safetensors.index.json`, which says what is where.
//
// Source: huggingface_hub 2.4, serialization/_base.py (split_state_dict_into_shards_factory).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/model/safetensors_head.h"
#include "core/result.h"

namespace mayfly {

// In the given order, as many tensors to a shard as fit into `most_bytes`; a larger one stands
// alone.
std::vector<std::vector<TensorOutline>> shards_of(const std::vector<TensorOutline>& tensors,
                                                  std::int64_t most_bytes);

// The bytes of one tensor, handed to the second argument, which is called once.
using TensorSink = std::function<Status(std::span<const std::byte>)>;
using TensorSource = std::function<Status(const TensorOutline&, const TensorSink&)>;

// Writes into `folder`, which must exist; asks `source` for one tensor after the other, so no more
// than one is in memory. Errors as write_file, and those of `source`.
Status write_model_weights(const std::filesystem::path& folder,
                           const std::vector<std::vector<TensorOutline>>& shards,
                           const TensorSource& source);

}  // namespace mayfly
