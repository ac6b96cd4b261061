// A large file that is written piece by piece and appears under its name only when it is whole: for
// content that would not fit into memory at once. One thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/descriptor.h"
#include "core/result.h"

namespace mayfly {

// Destroyed before `publish`, nothing stays. Errors as write_file (core/atomic_file.h).
class GrowingFile {
 public:
  // Creates `<path>.tmp.<pid>`; the folder must exist.
  static Result<GrowingFile> create(const std::filesystem::path& path);
  ~GrowingFile();
  GrowingFile(GrowingFile&& other) noexcept;
  GrowingFile& operator=(GrowingFile&&) = delete;

  Status append(std::string_view bytes);
  Status append(std::span<const std::byte> bytes);
  // Syncs and renames over `path`; the folder is the caller's to sync. The last call.
  Status publish();

 private:
  GrowingFile(std::filesystem::path path, std::filesystem::path temporary, Descriptor file);

  std::filesystem::path path_, temporary_;
  Descriptor file_;
};

}  // namespace mayfly
