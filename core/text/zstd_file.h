// Zstandard (RFC 8878), for files of data.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/result.h"

namespace mayfly {

// Whether the file begins as Zstandard's do; false for one that cannot be read.
bool is_zstd_file(const std::filesystem::path& path);

// Such a file unpacked, read from its beginning to its end, all its frames. Memory: what its window
// needs, 8 MB as `zstd` packs by default; a file that asks for more than 128 MB (--long=28 and
// above) is refused, as by zstd itself.
class ZstdFile {
 public:
  // Errors: not_found, refused.
  static Result<ZstdFile> open(const std::filesystem::path& path);
  ZstdFile(ZstdFile&&) noexcept;
  ZstdFile& operator=(ZstdFile&&) noexcept;
  ~ZstdFile();

  // Appends at most `most_bytes`; false at the end. Error: bad_data (damaged or cut short).
  Result<bool> append_to(std::string& text, std::size_t most_bytes);

 private:
  struct Open;
  explicit ZstdFile(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

}  // namespace mayfly
