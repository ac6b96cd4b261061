#include "localhub/object_store.h"

#include <atomic>

#include <fcntl.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/sha256.h"

namespace mayfly::localhub {

namespace fs = std::filesystem;

namespace {

void sync(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<ObjectStore> ObjectStore::open(const fs::path& root) {
  std::error_code code;
  fs::remove_all(root / "incoming", code);
  for (const char* folder : {"objects", "incoming"}) {
    if (Status made = make_folders(root / folder); !made) return made.error();
  }
  return ObjectStore(root);
}

fs::path ObjectStore::path_of(const std::string& sha256) const {
  return root_ / "objects" / sha256.substr(0, 2) / sha256;
}

bool ObjectStore::has(const std::string& sha256) const {
  std::error_code code;
  return is_sha256(sha256) && fs::is_regular_file(path_of(sha256), code);
}

std::int64_t ObjectStore::size_of(const std::string& sha256) const {
  std::error_code code;
  const auto size = fs::file_size(path_of(sha256), code);
  return code ? -1 : static_cast<std::int64_t>(size);
}

Result<std::string> ObjectStore::read(const std::string& sha256) const {
  return read_file(path_of(sha256));
}

Result<std::string> ObjectStore::put(std::string_view bytes) const {
  const std::string sha256 = sha256_hex(bytes);
  if (has(sha256)) return sha256;
  const fs::path file = new_incoming();
  if (Status written = write_file(file, bytes); !written) return written.error();
  if (Status adopted = adopt(file, sha256); !adopted) return adopted.error();
  return sha256;
}

Status ObjectStore::adopt(const fs::path& file, const std::string& sha256) const {
  const fs::path target = path_of(sha256);
  if (Status made = make_folders(target.parent_path()); !made) return made;
  sync(file);
  std::error_code code;
  fs::rename(file, target, code);
  if (code) return Error{ErrorKind::refused, "storing an object: " + code.message()};
  sync(target.parent_path());
  return Unit{};
}

fs::path ObjectStore::new_incoming() const {
  static std::atomic<std::uint64_t> count{0};
  return root_ / "incoming" / (std::to_string(::getpid()) + "." + std::to_string(++count));
}

}  // namespace mayfly::localhub
