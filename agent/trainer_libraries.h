// What the dynamic loader says of a program's libraries on this machine, without running it:
// ld.so(8), LD_TRACE_LOADED_OBJECTS, by which ldd works.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct TrainerLibraries {
  std::vector<std::string> missing;  // "libtorch_cpu.so"
  std::string trouble;               // a library that is too old, in the loader's words
  std::filesystem::path torch;  // the folder with libtorch_cpu.so; empty: not found, not needed

  bool are_complete() const {
    return missing.empty() && trouble.empty();
  }
};

// `folder` is looked through as the trainer will (LD_LIBRARY_PATH), after what is built into the
// program. Errors: not_found (no such program), refused, unreachable (no answer in a minute).
Result<TrainerLibraries> libraries_of(const std::filesystem::path& program,
                                      const std::filesystem::path& folder);

// Of the loader's answer: lines "name => path (address)", "name => not found".
TrainerLibraries read_library_list(const std::string& out, const std::string& err);

}  // namespace mayfly
