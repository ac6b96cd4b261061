// One process at a time: an exclusive lock on a file (flock), which lies beside what it guards.
//
// Of a process that dies the kernel takes it back; a child does not inherit it. Taking it is one
// system call when nobody has it, and a look every 50 ms when somebody does.
#pragma once

#include <chrono>
#include <filesystem>

#include "core/descriptor.h"
#include "core/result.h"

namespace mayfly {

class FileLock {
 public:
  // Creates the file (0600) if it is not there; its folder must be. Errors: refused (the file
  // cannot be opened), unreachable (somebody else has had it for all of `patience`).
  static Result<FileLock> take(const std::filesystem::path& file,
                               std::chrono::milliseconds patience = std::chrono::seconds(10));

 private:
  explicit FileLock(Descriptor fd) : fd_(std::move(fd)) {}

  Descriptor fd_;
};

}  // namespace mayfly
