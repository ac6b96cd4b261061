// What a process was started with, for tests that look for one among many.
#pragma once

#include <algorithm>
#include <string>

#include <unistd.h>

#include "core/atomic_file.h"

namespace mayfly {

// The command line, words separated by spaces; "" when the process has ended meanwhile.
inline std::string words_of(pid_t pid) {
  Result<std::string> text = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  if (!text) return "";
  std::replace(text->begin(), text->end(), '\0', ' ');
  return *std::move(text);
}

}  // namespace mayfly
