#include "core/growing_file.h"

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace mayfly {

namespace fs = std::filesystem;

namespace {

Error growing_error(const std::string& doing, int code) {
  const std::string message = doing + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {
    return Error{ErrorKind::no_space, message, "free some disk space and run the same again"};
  }
  if (code == ENOENT) return Error{ErrorKind::not_found, message};
  return Error{code == EIO ? ErrorKind::corrupt : ErrorKind::refused, message};
}

}  // namespace

GrowingFile::GrowingFile(fs::path path, fs::path temporary, Descriptor file)
    : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

GrowingFile::GrowingFile(GrowingFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)) {}

GrowingFile::~GrowingFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<GrowingFile> GrowingFile::create(const fs::path& path) {
  fs::path temporary = path.string() + ".tmp." + std::to_string(::getpid());
  // Never what stands there already: a killed process left it, or somebody planted a link.
  ::unlink(temporary.c_str());
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) return growing_error("creating " + temporary.string(), errno);
  return GrowingFile(path, std::move(temporary), std::move(file));
}

Status GrowingFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return growing_error("writing " + temporary_.string(), errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return Unit{};
}

Status GrowingFile::append(std::span<const std::byte> bytes) {
  return append(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Status GrowingFile::publish() {
  if (::fsync(file_.get()) != 0) return growing_error("syncing " + temporary_.string(), errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return growing_error("renaming to " + path_.string(), errno);
  }
  temporary_.clear();
  return Unit{};
}

}  // namespace mayfly
