// Where in a kernel's source something was called: a default argument `Site at = Site::current()`
// names the caller's line and column. Two barriers on one line are two places.
#pragma once

#include <string>

#if __has_include(<source_location>)
#include <source_location>
#endif

namespace emulator {

struct Site {
  const char* file = "";
  unsigned line = 0;
  unsigned column = 0;

#ifdef __cpp_lib_source_location
  static constexpr Site current(std::source_location at = std::source_location::current()) {
    return {at.file_name(), at.line(), at.column()};
  }
#else  // clang 14 with libstdc++ 12 has the words but not the class
  static constexpr Site current(const char* file = __builtin_FILE(),
                                unsigned line = __builtin_LINE(),
                                unsigned column = __builtin_COLUMN()) {
    return {file, line, column};
  }
#endif

  // The file's name is compared by address: one object for all calls from one source file.
  bool operator==(const Site&) const = default;
};

// "rms_norm.cu:31:5"
inline std::string text(const Site& site) {
  const std::string path = site.file;
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(site.line) + ":" +
         std::to_string(site.column);
}

}  // namespace emulator
