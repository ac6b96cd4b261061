#include "core/model/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian");

constexpr std::uint64_t kPrefixBytes = 8;
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the reference's limit
constexpr std::string_view kMetadataKey = "__metadata__";

// In the order of enum TensorType.
struct TypeRow {
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::array kTypes = {
    TypeRow{"BOOL", 1},    TypeRow{"U8", 1},  TypeRow{"I8", 1},  TypeRow{"F8_E5M2", 1},
    TypeRow{"F8_E4M3", 1}, TypeRow{"I16", 2}, TypeRow{"U16", 2}, TypeRow{"F16", 2},
    TypeRow{"BF16", 2},    TypeRow{"I32", 4}, TypeRow{"U32", 4}, TypeRow{"F32", 4},
    TypeRow{"F64", 8},     TypeRow{"I64", 8}, TypeRow{"U64", 8},
};
static_assert(kTypes.size() == static_cast<std::size_t>(TensorType::u64) + 1);

std::optional<TensorType> type_named(std::string_view name) {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i].name == name) return static_cast<TensorType>(i);
  }
  return std::nullopt;
}

// Non-negative and small enough that sums of a few stay exact; nullopt otherwise.
std::optional<std::uint64_t> size_in(const json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto size = value.get<std::uint64_t>();
  if (size > (std::uint64_t{1} << 62)) return std::nullopt;
  return size;
}

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// One entry of the header, checked as far as it can be alone.
class EntryReader {
 public:
  EntryReader(const std::string& name, const json& entry) : name_(name), entry_(entry) {}

  std::optional<std::string> read(std::uint64_t data_bytes) {
    if (!entry_.is_object() || entry_.size() != 3 || !entry_.contains("dtype") ||
        !entry_.contains("shape") || !entry_.contains("data_offsets")) {
      return "must have exactly dtype, shape and data_offsets";
    }
    const json& type = entry_["dtype"];
    const auto known = type.is_string() ? type_named(type.get<std::string>()) : std::nullopt;
    if (!known) return "has an unknown dtype " + json_line(type);
    tensor.type = *known;
    tensor.name = name_;
    if (auto fault = read_offsets(data_bytes)) return fault;
    return read_shape();
  }

  StoredTensor tensor;
  Range range;

 private:
  std::optional<std::string> read_offsets(std::uint64_t data_bytes) {
    const json& offsets = entry_["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2) return "must have two data_offsets";
    const auto begin = size_in(offsets[0]);
    const auto end = size_in(offsets[1]);
    if (!begin || !end || *begin > *end) return "has senseless data_offsets " + json_line(offsets);
    if (*end > data_bytes) {
      return "ends at byte " + std::to_string(*end) + " of only " + std::to_string(data_bytes);
    }
    range = {*begin, *end};
    return std::nullopt;
  }

  std::optional<std::string> read_shape() {
    const json& shape = entry_["shape"];
    if (!shape.is_array()) return "has no list as its shape";
    std::uint64_t bytes = static_cast<std::uint64_t>(tensor_type_bytes(tensor.type));
    for (const json& dimension : shape) {
      const auto size = size_in(dimension);
      if (!size) return "has a senseless shape " + json_line(shape);
      // The product wraps for shapes that no file can hold.
      if (__builtin_mul_overflow(bytes, *size, &bytes)) return "is too large: " + json_line(shape);
      tensor.shape.push_back(static_cast<std::int64_t>(*size));
    }
    if (bytes != range.end - range.begin) {
      return "needs " + std::to_string(bytes) + " bytes by its shape and has " +
             std::to_string(range.end - range.begin);
    }
    return std::nullopt;
  }

  const std::string& name_;
  const json& entry_;
};

Error corrupt(const fs::path& path, const std::string& why) {
  return Error{ErrorKind::corrupt, path.string() + ": " + why,
               "the file is damaged or was cut short; fetch it again"};
}

// The header as text, or why it cannot be one.
Result<std::string_view> header_text(std::span<const std::byte> bytes, const fs::path& path) {
  if (bytes.size() < kPrefixBytes) {
    return corrupt(path, "is no safetensors file: only " + std::to_string(bytes.size()) + " bytes");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kPrefixBytes);
  if (length > kMostHeaderBytes || length > bytes.size() - kPrefixBytes) {
    return corrupt(path, "its header claims " + std::to_string(length) + " bytes, the file has " +
                             std::to_string(bytes.size()));
  }
  return std::string_view(reinterpret_cast<const char*>(bytes.data()) + kPrefixBytes, length);
}

std::optional<std::string> read_metadata(const json& object,
                                         std::map<std::string, std::string>& out) {
  if (!object.is_object()) return "__metadata__ must be an object";
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) return "__metadata__ must hold texts only, at \"" + key + "\"";
    out[key] = value.get<std::string>();
  }
  return std::nullopt;
}

// Ranges must follow each other without hole or overlap from 0 to the end of the data.
std::optional<std::string> check_coverage(std::vector<std::pair<Range, std::string>> ranges,
                                          std::uint64_t data_bytes) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  std::uint64_t position = 0;
  for (const auto& [range, name] : ranges) {
    if (range.begin != position) {
      return "tensor \"" + name + "\" " +
             (range.begin < position ? "overlaps the one before it" : "leaves a hole before it");
    }
    position = range.end;
  }
  if (position != data_bytes) {
    return "has " + std::to_string(data_bytes - position) + " bytes that belong to no tensor";
  }
  return std::nullopt;
}

}  // namespace

std::string_view tensor_type_name(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)].name;
}

std::int64_t tensor_type_bytes(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)].bytes;
}

Result<SafetensorsFile> SafetensorsFile::open(const fs::path& path) {
  Result<MappedFile> mapped = MappedFile::open(path);
  if (!mapped) return mapped.error();
  SafetensorsFile file(std::move(*mapped));
  const std::span<const std::byte> bytes = file.file_.bytes();
  const Result<std::string_view> text = header_text(bytes, path);
  if (!text) return text.error();
  const Result<json> header = parse_json(*text, path.string());  // refuses a name that stands twice
  if (!header) return corrupt(path, "its header is not valid JSON: " + header.error().message);
  if (!header->is_object()) return corrupt(path, "its header is not a JSON object");

  const auto data = bytes.subspan(kPrefixBytes + text->size());
  std::vector<std::pair<Range, std::string>> ranges;
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadataKey) {
      if (const auto fault = read_metadata(entry, file.metadata_)) return corrupt(path, *fault);
      continue;
    }
    EntryReader reader(name, entry);
    if (const auto fault = reader.read(data.size())) {
      return corrupt(path, "tensor \"" + name + "\" " + *fault);
    }
    const Range range = reader.range;
    reader.tensor.bytes = data.subspan(range.begin, range.end - range.begin);
    file.tensors_.push_back(std::move(reader.tensor));
    ranges.emplace_back(range, name);
  }
  if (const auto fault = check_coverage(std::move(ranges), data.size())) {
    return corrupt(path, *fault);
  }
  std::sort(file.tensors_.begin(), file.tensors_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return file;
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const StoredTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

Status write_safetensors(const fs::path& path, std::vector<StoredTensor> tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return a.type != b.type ? a.type > b.type : a.name < b.name;
  });
  // By hand and not from one json object: the order of keys must be the order of the data.
  std::string header = "{";
  if (!metadata.empty()) header += json(kMetadataKey).dump() + ":" + json(metadata).dump();
  std::uint64_t position = 0;
  for (const StoredTensor& tensor : tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= size;
    assert(elements * tensor_type_bytes(tensor.type) ==
           static_cast<std::int64_t>(tensor.bytes.size()));
    const std::uint64_t end = position + tensor.bytes.size();
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
  std::string prefix(kPrefixBytes, '\0');
  std::memcpy(prefix.data(), &length, kPrefixBytes);
  std::vector<std::string_view> pieces = {prefix, header};
  for (const StoredTensor& tensor : tensors) {
    pieces.emplace_back(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  return write_file(path, pieces);
}

}  // namespace mayfly
