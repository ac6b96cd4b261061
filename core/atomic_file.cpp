#include "core/atomic_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

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

Result<std::string> read_file(const fs::path& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) {
    return Error{ErrorKind::not_found, "reading " + path.string() + ": it is a folder"};
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return system_error("reading " + path.string(), errno != 0 ? errno : ENOENT);
  std::ostringstream out;
  out << in.rdbuf();
  if (in.bad()) return Error{ErrorKind::corrupt, "cannot read " + path.string() + " to its end"};
  return std::move(out).str();
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
  for (const auto& entry : fs::recursive_directory_iterator(folder, code)) {
    const bool is_folder = entry.is_directory();
    if (!is_folder && !entry.is_regular_file()) continue;
    if (Status synced = sync_path(entry.path(), is_folder ? O_RDONLY | O_DIRECTORY : O_RDONLY);
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
