#include "core/open_beneath.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>

namespace mayfly {

namespace fs = std::filesystem;

namespace {

Error open_error(const fs::path& path, int code) {
  ErrorKind kind = ErrorKind::refused;
  if (code == ENOENT) kind = ErrorKind::not_found;
  if (code == ENOSPC || code == EDQUOT) kind = ErrorKind::no_space;
  const bool link = code == ELOOP || code == ENOTDIR;
  return {kind, "opening " + path.string() + ": " +
                    (link ? "there is a link, or no folder, on the way" : std::strerror(code))};
}

}  // namespace

// Folder by folder: openat2 with RESOLVE_NO_SYMLINKS does the same in one call, but is refused by
// older kernels and by filters of system calls that do not know it.
Result<Descriptor> open_beneath(const fs::path& root, const fs::path& relative, int flags) {
  const fs::path path = root / relative;
  Descriptor folder(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return open_error(root, errno);
  for (const fs::path& part : relative.parent_path()) {
    if (part == "..") return open_error(path, ELOOP);
    Descriptor next(
        ::openat(folder.get(), part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.get() < 0) return open_error(path, errno);
    folder = std::move(next);
  }
  // O_NONBLOCK: the opening of a pipe would wait for its other end.
  Descriptor file(::openat(folder.get(), relative.filename().c_str(),
                           flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (file.get() < 0) return open_error(path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return open_error(path, errno);
  if (!S_ISREG(info.st_mode)) return Error{ErrorKind::refused, path.string() + " is not a file"};
  return file;
}

}  // namespace mayfly
