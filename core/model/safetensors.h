// The safetensors format, both ways.
//
//   8 bytes   n, little endian
//   n bytes   JSON object: name -> {"dtype", "shape", "data_offsets": [begin, end]}, and optionally
//             "__metadata__" -> {text: text}
//   the rest  the tensors' bytes, row-major, little endian; offsets count from here
//
// The reader believes nothing: header at most 100 MB and within the file, no name twice, each range
// as long as shape and dtype say, ranges in one piece without hole or overlap to the file's last
// byte. The writer orders and pads as the reference implementation does, so that the same tensors
// give the same bytes. Source: huggingface/safetensors, safetensors/src/tensor.rs, version 0.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/mapped_file.h"
#include "core/result.h"

namespace mayfly {

// In the reference's order: files are sorted by it, last first.
enum class TensorType {
  b8,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  f64,
  i64,
  u64
};

// "BF16", and the bytes of one element.
std::string_view tensor_type_name(TensorType type);
std::int64_t tensor_type_bytes(TensorType type);

// One tensor of a file, or to be written to one. `bytes` belongs to somebody else.
struct StoredTensor {
  std::string name;
  TensorType type;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// Where one tensor of a file is. `begin` and `end` count from the file's first byte.
struct TensorPlace {
  std::string name;
  TensorType type;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// What the header says, checked as by SafetensorsFile::open, read without mapping: for a file that
// somebody else could cut short meanwhile. `file` is open for reading; `name` is for the messages.
// Sorted by place. Errors: corrupt.
Result<std::vector<TensorPlace>> read_tensor_places(int file, const std::string& name);

// An open file. Its tensors' bytes are the mapped file: valid as long as this object.
class SafetensorsFile {
 public:
  // Errors: not_found, corrupt; the message names file and tensor.
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  // Sorted by name.
  const std::vector<StoredTensor>& tensors() const {
    return tensors_;
  }
  // nullptr: no such tensor.
  const StoredTensor* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const {
    return metadata_;
  }

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  MappedFile file_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

// The weights of a model folder: `model.safetensors`, or the shards that
// `model.safetensors.index.json` names (each a plain file name; each tensor must be where the index
// says). Errors: not_found, corrupt, unsupported (only pickled weights are there).
class SafetensorsModel {
 public:
  static Result<SafetensorsModel> open(const std::filesystem::path& model_dir);

  const StoredTensor* find(std::string_view name) const;
  const std::vector<SafetensorsFile>& files() const {
    return files_;
  }

 private:
  std::vector<SafetensorsFile> files_;
};

// Writes `tensors` by temporary file and rename; any order, names unique, bytes as long as shape
// and type say (a broken promise is an assert). Errors as write_file.
Status write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                         const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace mayfly
