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
#include <sys/stat.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/model/safetensors_head.h"

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
    place.type = *known;
    place.name = name_;
    if (auto fault = read_offsets(data_bytes)) return fault;
    return read_shape();
  }

  TensorPlace place;

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
    place.begin = *begin;
    place.end = *end;
    return std::nullopt;
  }

  std::optional<std::string> read_shape() {
    const json& shape = entry_["shape"];
    if (!shape.is_array()) return "has no list as its shape";
    std::uint64_t bytes = static_cast<std::uint64_t>(tensor_type_bytes(place.type));
    for (const json& dimension : shape) {
      const auto size = size_in(dimension);
      if (!size) return "has a senseless shape " + json_line(shape);
      // The product wraps for shapes that no file can hold.
      if (__builtin_mul_overflow(bytes, *size, &bytes)) return "is too large: " + json_line(shape);
      place.shape.push_back(static_cast<std::int64_t>(*size));
    }
    if (bytes != place.end - place.begin) {
      return "needs " + std::to_string(bytes) + " bytes by its shape and has " +
             std::to_string(place.end - place.begin);
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

// The header's length, which stands in the first 8 bytes of a file of `size` bytes.
Result<std::uint64_t> header_length(const std::byte* prefix, std::uint64_t size,
                                    const fs::path& path) {
  if (size < kPrefixBytes) {
    return corrupt(path, "is no safetensors file: only " + std::to_string(size) + " bytes");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, prefix, kPrefixBytes);
  if (length > kMostHeaderBytes || length > size - kPrefixBytes) {
    return corrupt(path, "its header claims " + std::to_string(length) + " bytes, the file has " +
                             std::to_string(size));
  }
  return length;
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

// The places must follow each other without hole or overlap from 0 to the end of the data. Sorts
// them.
std::optional<std::string> check_coverage(std::vector<TensorPlace>& places,
                                          std::uint64_t data_bytes) {
  std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const TensorPlace& place : places) {
    if (place.begin != position) {
      return "tensor \"" + place.name + "\" " +
             (place.begin < position ? "overlaps the one before it" : "leaves a hole before it");
    }
    position = place.end;
  }
  if (position != data_bytes) {
    return "has " + std::to_string(data_bytes - position) + " bytes that belong to no tensor";
  }
  return std::nullopt;
}

struct Header {
  std::vector<TensorPlace> places;  // of the whole file
  std::map<std::string, std::string> metadata;
};
Result<Header> parse_header(std::string_view text, std::uint64_t file_bytes, const fs::path& path) {
  const Result<json> object = parse_json(text, path.string());  // refuses a name that stands twice
  if (!object) return corrupt(path, "its header is not valid JSON: " + object.error().message);
  if (!object->is_object()) return corrupt(path, "its header is not a JSON object");

  const std::uint64_t data_begins = kPrefixBytes + text.size();
  const std::uint64_t data_bytes = file_bytes - data_begins;
  Header header;
  for (const auto& [name, entry] : object->items()) {
    if (name == kMetadataKey) {
      if (const auto fault = read_metadata(entry, header.metadata)) return corrupt(path, *fault);
      continue;
    }
    EntryReader reader(name, entry);
    if (const auto fault = reader.read(data_bytes)) {
      return corrupt(path, "tensor \"" + name + "\" " + *fault);
    }
    header.places.push_back(std::move(reader.place));
  }
  if (const auto fault = check_coverage(header.places, data_bytes)) return corrupt(path, *fault);
  for (TensorPlace& place : header.places) {
    place.begin += data_begins;
    place.end += data_begins;
  }
  return header;
}

// Returns fewer bytes only at the file's end, or when it cannot be read.
std::string read_at(int file, std::uint64_t begin, std::uint64_t bytes) {
  std::string text(bytes, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t more =
        ::pread(file, text.data() + have, text.size() - have, static_cast<off_t>(begin + have));
    if (more <= 0) break;
    have += static_cast<std::size_t>(more);
  }
  text.resize(have);
  return text;
}

}  // namespace

std::string_view tensor_type_name(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)].name;
}

std::int64_t tensor_type_bytes(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)].bytes;
}

Result<std::vector<TensorPlace>> read_tensor_places(int file, const std::string& name) {
  struct stat info {};
  if (::fstat(file, &info) != 0) return corrupt(name, "cannot be read");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const std::string prefix = read_at(file, 0, kPrefixBytes);
  const Result<std::uint64_t> length =
      header_length(reinterpret_cast<const std::byte*>(prefix.data()),
                    prefix.size() < kPrefixBytes ? prefix.size() : size, name);
  if (!length) return length.error();
  const std::string text = read_at(file, kPrefixBytes, *length);
  if (text.size() < *length) return corrupt(name, "was cut short while it was read");
  Result<Header> header = parse_header(text, size, name);
  if (!header) return header.error();
  return std::move(header->places);
}

Result<SafetensorsFile> SafetensorsFile::open(const fs::path& path) {
  Result<MappedFile> mapped = MappedFile::open(path);
  if (!mapped) return mapped.error();
  SafetensorsFile file(std::move(*mapped));
  const std::span<const std::byte> bytes = file.file_.bytes();
  const Result<std::uint64_t> length = header_length(bytes.data(), bytes.size(), path);
  if (!length) return length.error();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kPrefixBytes, *length);
  Result<Header> header = parse_header(text, bytes.size(), path);
  if (!header) return header.error();
  file.metadata_ = std::move(header->metadata);
  for (TensorPlace& place : header->places) {
    file.tensors_.push_back({std::move(place.name), place.type, std::move(place.shape),
                             bytes.subspan(place.begin, place.end - place.begin)});
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
  std::sort(tensors.begin(), tensors.end(), comes_before_in_file<StoredTensor>);
  std::vector<TensorOutline> outlines;
  for (const StoredTensor& tensor : tensors) {
    outlines.push_back({tensor.name, tensor.type, tensor.shape});
    assert(outlines.back().bytes() == static_cast<std::int64_t>(tensor.bytes.size()));
  }
  const std::string head = safetensors_head(outlines, metadata);
  std::vector<std::string_view> pieces = {head};
  for (const StoredTensor& tensor : tensors) {
    pieces.emplace_back(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  return write_file(path, pieces);
}

}  // namespace mayfly
