// The bytes of one execution as a file without a disk: most readers of this project open a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

namespace mayfly {

inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// What must hold in every execution; libFuzzer reports the input that broke it.
inline void require(bool holds) {
  if (!holds) std::abort();
}

class FuzzedFile {
 public:
  FuzzedFile(const std::uint8_t* bytes, std::size_t size)
      : fd_(::memfd_create("fuzzed", MFD_CLOEXEC)) {
    require(fd_ >= 0 && ::write(fd_, bytes, size) == static_cast<ssize_t>(size));
  }
  ~FuzzedFile() {
    ::close(fd_);
  }
  FuzzedFile(const FuzzedFile&) = delete;
  FuzzedFile& operator=(const FuzzedFile&) = delete;

  std::filesystem::path path() const {
    return "/proc/self/fd/" + std::to_string(fd_);
  }

 private:
  int fd_;
};

// A folder in memory, one for the whole process, for readers that want a name.
inline const std::filesystem::path& fuzz_folder() {
  static const std::filesystem::path folder = [] {
    std::string name = "/dev/shm/mayfly-fuzz-XXXXXX";
    require(::mkdtemp(name.data()) != nullptr);
    return std::filesystem::path(name);
  }();
  static const bool removed_at_exit = std::atexit([] {
                                        std::error_code code;
                                        std::filesystem::remove_all(fuzz_folder(), code);
                                      }) == 0;
  require(removed_at_exit);
  return folder;
}

}  // namespace mayfly
