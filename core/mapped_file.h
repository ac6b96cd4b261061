// A file as read-only bytes, mapped: pages are read when touched and belong to the page cache.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "core/result.h"

namespace mayfly {

// Movable, not copyable. The bytes stay valid until destruction. A file that is cut short by
// somebody else while mapped ends the process with SIGBUS: map only files we own or downloaded.
class MappedFile {
 public:
  // Errors: not_found, refused. An empty file maps to an empty span.
  static Result<MappedFile> open(const std::filesystem::path& path);

  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const {
    return {data_, size_};
  }

 private:
  MappedFile(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mayfly
