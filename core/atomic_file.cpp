#include "core/atomic_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/descriptor.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

Error system_error(const std::string& doing, int code) {
  ErrorKind kind = ErrorKind::refused;
  std::string hint;
  if (code == ENOSPC || code == EDQUOT || code == EFBIG) {  // EFBIG: a file-size limit
    kind = ErrorKind::no_space;
    hint = "free some disk space and run the same command again; nothing written before is lost";
  }
  if (code == ENOENT) kind = ErrorKind::not_found;
  if (code == EIO) kind = ErrorKind::corrupt;
  return Error{kind, doing + ": " + std::strerror(code), hint};
}

Status write_all(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_error("writing " + path.string(), errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return Unit{};
}

Status sync_path(const fs::path& path, int flags) {
  const Descriptor file(::open(path.c_str(), flags | O_CLOEXEC));
  if (file.get() < 0) return system_error("opening " + path.string(), errno);
  if (::fsync(file.get()) != 0) return system_error("syncing " + path.string(), errno);
  return Unit{};
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

bool is_plain_file(const std::filesystem::path& path) {
  std::error_code code;
  return std::filesystem::symlink_status(path, code).type() == std::filesystem::file_type::regular;
}

// Not by streams: `out << in.rdbuf()` takes an error of the disk for the end of the file.
Result<std::string> read_file(const fs::path& path) {
  const std::string doing = "reading " + path.string();
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) return system_error(doing, errno);
  if (S_ISDIR(info.st_mode)) return Error{ErrorKind::not_found, doing + ": it is a folder"};
  // Files below /proc have no size; any other may have grown meanwhile.
  constexpr std::size_t kLeastBytes = 4096;
  std::string text;
  std::size_t size = 0;
  for (;;) {
    if (size == text.size()) {
      const auto expected = static_cast<std::size_t>(info.st_size) + 1;
      text.resize(size == 0 ? std::max(expected, kLeastBytes) : 2 * size);
    }
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(doing, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

Status write_file(const fs::path& path, std::string_view bytes, unsigned mode) {
  return write_file(path, std::span(&bytes, 1), mode);
}

Status write_file(const fs::path& path, std::span<const std::string_view> pieces, unsigned mode) {
  const fs::path temporary = path.string() + ".tmp." + std::to_string(::getpid());
  {
    // Never what stands there already: a killed process left it, or somebody planted a link.
    ::unlink(temporary.c_str());
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.get() < 0) return system_error("creating " + temporary.string(), errno);
    Status written = Unit{};
    for (std::size_t i = 0; i < pieces.size() && written; ++i) {
      written = write_all(file.get(), pieces[i], temporary);
    }
    if (written && ::fchmod(file.get(), mode) != 0) {
      written = system_error("setting the mode of " + temporary.string(), errno);
    }
    if (written && ::fsync(file.get()) != 0) {
      written = system_error("syncing " + temporary.string(), errno);
    }
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(temporary.c_str());
    return system_error("renaming to " + path.string(), code);
  }
  return sync_path(folder_of(path), O_RDONLY | O_DIRECTORY);
}

Status reserve_space(const fs::path& path, std::int64_t bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error("creating " + path.string(), errno);
  if (bytes <= 0 || ::fallocate(file.get(), 0, 0, bytes) == 0) return Unit{};
  int code = errno;
  if (code == EOPNOTSUPP) {  // then by the file system's word; glibc's own way would write it all
    std::error_code unknown;
    const fs::space_info space = fs::space(path, unknown);
    if (unknown || space.available >= static_cast<std::uintmax_t>(bytes)) return Unit{};
    code = ENOSPC;
  }
  return system_error("reserving " + std::to_string(bytes) + " bytes in " + path.string(), code);
}

Status append_line(const fs::path& path, std::string_view line) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error("opening " + path.string(), errno);
  std::string whole(line);
  whole += '\n';
  return write_all(file.get(), whole, path);
}

Status publish_folder(const fs::path& folder, const fs::path& target) {
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    std::error_code gone;
    const bool is_folder = entry->is_directory(gone);
    if (!is_folder && !entry->is_regular_file(gone)) continue;
    if (Status synced = sync_path(entry->path(), is_folder ? O_RDONLY | O_DIRECTORY : O_RDONLY);
        !synced) {
      return synced;
    }
  }
  if (code) return system_error("listing " + folder.string(), code.value());
  if (Status synced = sync_path(folder, O_RDONLY | O_DIRECTORY); !synced) return synced;
  if (fs::exists(target, code)) {
    return Error{ErrorKind::refused, target.string() + " exists already"};
  }
  if (::rename(folder.c_str(), target.c_str()) != 0) {
    return system_error("renaming to " + target.string(), errno);
  }
  return sync_path(folder_of(target), O_RDONLY | O_DIRECTORY);
}

Status make_folders(const fs::path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) return system_error("making the folder " + path.string(), code.value());
  return Unit{};
}

}  // namespace mayfly
