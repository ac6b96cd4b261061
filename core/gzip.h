// gzip (RFC 1952), for the few kilobytes that cloud-init takes packed, and for files of data.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

// The same bytes for the same text: no name and no time in it.
std::string gzip_compress(std::string_view text);
// Error: corrupt (not gzip, damaged, cut short, or more than `most_bytes` when unpacked).
Result<std::string> gzip_expand(std::string_view packed, std::size_t most_bytes);

// A file as it is, or what gzip made of it, read from its beginning to its end.
class MaybeGzipFile {
 public:
  // Errors: not_found, refused.
  static Result<MaybeGzipFile> open(const std::filesystem::path& path);
  MaybeGzipFile(MaybeGzipFile&&) noexcept;
  MaybeGzipFile& operator=(MaybeGzipFile&&) noexcept;
  ~MaybeGzipFile();

  // Appends at most `most_bytes`; false at the end. Error: bad_data (damaged or cut short).
  Result<bool> append_to(std::string& text, std::size_t most_bytes);

 private:
  struct Open;
  explicit MaybeGzipFile(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

}  // namespace mayfly
