// A file of data as it is, or what gzip or Zstandard made of it, told apart by its first bytes.
#pragma once

#include <filesystem>
#include <string>
#include <variant>

#include "core/gzip.h"
#include "core/result.h"
#include "core/text/zstd_file.h"

namespace mayfly {

// Read from its beginning to its end.
class PackedFile {
 public:
  // Errors: not_found, refused.
  static Result<PackedFile> open(const std::filesystem::path& path);

  // Appends at most `most_bytes`; false at the end. Error: bad_data (damaged or cut short).
  Result<bool> append_to(std::string& text, std::size_t most_bytes);

 private:
  using Reader = std::variant<MaybeGzipFile, ZstdFile>;
  explicit PackedFile(Reader reader) : reader_(std::move(reader)) {}
  Reader reader_;
};

}  // namespace mayfly
