#include "core/model/shards.h"

#include <cassert>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/growing_file.h"
#include "core/json.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

Status write_shard(const fs::path& path, std::vector<TensorOutline> tensors,
                   const TensorSource& source) {
  Result<GrowingFile> file = GrowingFile::create(path);
  if (!file) return file.error();
  const std::string head = safetensors_head(tensors, {{"format", "pt"}});
  if (Status written = file->append(head); !written) return written;
  for (const TensorOutline& tensor : tensors) {
    const Status written = source(tensor, [&](std::span<const std::byte> bytes) {
      assert(static_cast<std::int64_t>(bytes.size()) == tensor.bytes());
      return file->append(bytes);
    });
    if (!written) return written;
  }
  return file->publish();
}

}  // namespace

std::vector<std::vector<TensorOutline>> shards_of(const std::vector<TensorOutline>& tensors,
                                                  std::int64_t most_bytes) {
  std::vector<std::vector<TensorOutline>> shards;
  std::int64_t size = 0;
  for (const TensorOutline& tensor : tensors) {
    if (shards.empty() || size + tensor.bytes() > most_bytes) {
      shards.emplace_back();
      size = 0;
    }
    size += tensor.bytes();
    shards.back().push_back(tensor);
  }
  return shards;
}

Status write_model_weights(const fs::path& folder,
                           const std::vector<std::vector<TensorOutline>>& shards,
                           const TensorSource& source) {
  json places = json::object();
  std::int64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i, shards.size());
    if (Status written = write_shard(folder / name, shards[i], source); !written) return written;
    for (const TensorOutline& tensor : shards[i]) {
      places[tensor.name] = name;
      total += tensor.bytes();
    }
  }
  if (shards.size() == 1) return Unit{};
  const json index = {{"metadata", {{"total_size", total}}}, {"weight_map", std::move(places)}};
  return write_file(folder / "model.safetensors.index.json", json_text(index));
}

}  // namespace mayfly
