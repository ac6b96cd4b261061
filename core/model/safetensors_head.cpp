#include "core/model/safetensors_head.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>

namespace mayfly {

using nlohmann::json;

std::int64_t TensorOutline::bytes() const {
  std::int64_t bytes = tensor_type_bytes(type);
  for (const std::int64_t size : shape) bytes *= size;
  return bytes;
}

std::string safetensors_head(std::vector<TensorOutline>& tensors,
                             const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), comes_before_in_file<TensorOutline>);
  // By hand and not from one json object: the order of keys must be the order of the data.
  std::string header = "{";
  if (!metadata.empty()) header += json("__metadata__").dump() + ":" + json(metadata).dump();
  std::uint64_t position = 0;
  for (const TensorOutline& tensor : tensors) {
    const std::uint64_t end = position + static_cast<std::uint64_t>(tensor.bytes());
    if (header.size() > 1) header += ",";
    header += json(tensor.name).dump() + ":{\"dtype\":\"" +
              std::string(tensor_type_name(tensor.type)) +
              "\",\"shape\":" + json(tensor.shape).dump() +
              ",\"data_offsets\":" + json({position, end}).dump() + "}";
    position = end;
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the data is aligned to 8

  const std::uint64_t length = header.size();
  std::string prefix(sizeof(std::uint64_t), '\0');
  std::memcpy(prefix.data(), &length, sizeof(std::uint64_t));
  return prefix + header;
}

}  // namespace mayfly
