#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/safetensors.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// An index is foreign input: a name with a folder in it could point anywhere on this machine.
bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

// Tensor name -> shard name.
Result<std::map<std::string, std::string>> read_index(const fs::path& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<json> index = parse_json(*text, path.string());
  if (!index) return index.error();
  if (!index->is_object() || !index->contains("weight_map") ||
      !(*index)["weight_map"].is_object()) {
    return Error{ErrorKind::corrupt, path.string() + ": there is no object \"weight_map\""};
  }
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : (*index)["weight_map"].items()) {
    if (!shard.is_string() || !is_plain_file_name(shard.get<std::string>())) {
      return Error{ErrorKind::corrupt, path.string() + ": tensor \"" + tensor +
                                           "\" is in no plain file name: " + json_line(shard)};
    }
    shards[tensor] = shard.get<std::string>();
  }
  return shards;
}

Error no_weights(const fs::path& model_dir) {
  std::error_code code;
  if (fs::exists(model_dir / "pytorch_model.bin", code) ||
      fs::exists(model_dir / "pytorch_model.bin.index.json", code)) {
    return Error{ErrorKind::unsupported,
                 model_dir.string() + " has its weights as pytorch_model.bin only",
                 "convert them to safetensors; pickled files can run code and are not read"};
  }
  return Error{ErrorKind::not_found,
               model_dir.string() + " has neither " + kSingleFile + " nor " + kIndexFile};
}

}  // namespace

Result<SafetensorsModel> SafetensorsModel::open(const fs::path& model_dir) {
  SafetensorsModel model;
  std::error_code code;
  if (fs::exists(model_dir / kSingleFile, code)) {
    Result<SafetensorsFile> file = SafetensorsFile::open(model_dir / kSingleFile);
    if (!file) return file.error();
    model.files_.push_back(std::move(*file));
    return model;
  }
  if (!fs::exists(model_dir / kIndexFile, code)) return no_weights(model_dir);

  const auto index = read_index(model_dir / kIndexFile);
  if (!index) return index.error();
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : *index) shards.insert(shard);
  for (const std::string& shard : shards) {
    Result<SafetensorsFile> file = SafetensorsFile::open(model_dir / shard);
    if (!file) return file.error();
    for (const StoredTensor& tensor : file->tensors()) {
      const auto listed = index->find(tensor.name);
      if (listed == index->end() || listed->second != shard) {
        return Error{ErrorKind::corrupt, (model_dir / shard).string() + ": tensor \"" +
                                             tensor.name + "\" is not where " + kIndexFile +
                                             " says"};
      }
    }
    model.files_.push_back(std::move(*file));
  }
  for (const auto& [tensor, shard] : *index) {
    if (model.find(tensor) == nullptr) {
      return Error{ErrorKind::corrupt, (model_dir / shard).string() + ": tensor \"" + tensor +
                                           "\" is missing, which " + kIndexFile + " promises"};
    }
  }
  return model;
}

const StoredTensor* SafetensorsModel::find(std::string_view name) const {
  for (const SafetensorsFile& file : files_) {
    if (const StoredTensor* const found = file.find(name)) return found;
  }
  return nullptr;
}

}  // namespace mayfly
