// The bytes of all files of all repositories, each content once, named by its SHA-256:
// objects/ab/ab12.... An object appears by rename after its bytes are on disk, and never changes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly::localhub {

// Any thread.
class ObjectStore {
 public:
  // Below `root`: objects/ and incoming/. What an earlier process left half-written in incoming/ is
  // removed.
  static Result<ObjectStore> open(const std::filesystem::path& root);
  // Looks only; open() makes the folders.
  explicit ObjectStore(std::filesystem::path root) : root_(std::move(root)) {}

  bool has(const std::string& sha256) const;
  std::filesystem::path path_of(const std::string& sha256) const;
  std::int64_t size_of(const std::string& sha256) const;
  Result<std::string> read(const std::string& sha256) const;

  // Returns the SHA-256.
  Result<std::string> put(std::string_view bytes) const;
  // Moves a file, whose SHA-256 the caller has computed, in.
  Status adopt(const std::filesystem::path& file, const std::string& sha256) const;
  // A name in incoming/ that nobody else has.
  std::filesystem::path new_incoming() const;

 private:
  std::filesystem::path root_;
};

// 64 lower-case hex digits.
bool is_sha256(std::string_view text);

}  // namespace mayfly::localhub
