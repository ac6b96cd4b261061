// The GGUF format, version 3, written: what llama.cpp and the programs around it read.
//
//   "GGUF"  u32 version  u64 tensors  u64 keys
//   key     text name, u32 kind, value; a text is u64 length and bytes; a list u32 kind, u64 count
//   tensor  text name, u32 dimensions, u64 sizes (the fastest first), u32 type, u64 offset
//   data    each tensor at a multiple of 32 bytes from here, here itself at one of the file
//
// Little endian. Source: ggml-org/ggml, docs/gguf.md, and gguf 0.19 (gguf_writer.py, constants.py).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

// The numbers of GGMLQuantizationType.
enum class GgufType : std::uint32_t { f32 = 0, f16 = 1, q8_0 = 8, bf16 = 30 };

struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<std::int64_t> shape;  // the slowest first, as everywhere here

  // q8_0 has 34 bytes for 32 numbers of a row. REQUIRES: rows of whole blocks.
  std::int64_t bytes() const;
};

// Keys and values, in the order in which they were added.
class GgufKeys {
 public:
  void text(std::string_view key, std::string_view value);
  void number(std::string_view key, std::uint32_t value);
  void real(std::string_view key, float value);
  void flag(std::string_view key, bool value);
  void texts(std::string_view key, std::span<const std::string> values);
  void numbers(std::string_view key, std::span<const std::int32_t> values);

  std::uint64_t count() const {
    return count_;
  }
  const std::string& bytes() const {
    return bytes_;
  }

 private:
  void begin(std::string_view key, std::uint32_t kind);

  std::string bytes_;
  std::uint64_t count_ = 0;
};

// The bytes of one tensor, as its type says. Valid until the next call.
using GgufSource = std::function<Result<std::span<const std::byte>>(const GgufTensor&)>;

// Asks `source` for one tensor after the other; the file appears by rename. Errors as write_file,
// and those of `source`.
Status write_gguf(const std::filesystem::path& path, const GgufKeys& keys,
                  std::span<const GgufTensor> tensors, const GgufSource& source);

}  // namespace mayfly
