// All repositories below one folder: repos/models/<owner>/<name>, repos/datasets/..., objects/.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "localhub/object_store.h"
#include "localhub/repository.h"

namespace mayfly::localhub {

// Any thread, as long as whoever changes a repository holds `writing()`.
class Library {
 public:
  // Makes the folders where they are missing.
  static Result<std::unique_ptr<Library>> open(const std::filesystem::path& root);

  // For a look beside a running server: cleans nothing up.
  static Result<std::unique_ptr<Library>> open_to_read(const std::filesystem::path& root);

  std::unique_lock<std::mutex> writing() {
    return std::unique_lock(mutex_);
  }

  // Error: not_found, corrupt.
  Result<Repository> find(const HubRepo& repo) const;
  // Error: guard (it exists).
  Result<Repository> create(const HubRepo& repo, bool is_private, const std::string& author,
                            WallTime now);
  // Objects stay: other repositories may have the same bytes.
  Status remove(const HubRepo& repo);
  std::vector<Repository> all() const;

  const ObjectStore& objects() const {
    return objects_;
  }
  const std::filesystem::path& root() const {
    return root_;
  }

 private:
  Library(std::filesystem::path root, ObjectStore objects)
      : root_(std::move(root)), objects_(std::move(objects)) {}
  std::filesystem::path folder_of(const HubRepo& repo) const;

  std::filesystem::path root_;
  ObjectStore objects_;
  std::mutex mutex_;
};

}  // namespace mayfly::localhub
