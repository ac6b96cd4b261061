#include "core/file_lock.h"

#include <cerrno>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>

namespace mayfly {

Result<FileLock> FileLock::take(const std::filesystem::path& file,
                                std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kBetweenLooks(50);
  Descriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) {
    return Error{ErrorKind::refused, "opening " + file.string() + ": " + std::strerror(errno)};
  }
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= give_up_at) {
      return Error{ErrorKind::unreachable, "another process has held " + file.string() + " locked",
                   "see which with `fuser " + file.string() + "`, and try again"};
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return FileLock(std::move(fd));
}

}  // namespace mayfly
