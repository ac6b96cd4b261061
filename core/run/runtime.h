// The trainer's libraries on a machine that has none: which wheels of PyPI they come from, and
// which files of each, all pinned (requirements/runtime.txt). The launcher puts the list into the
// plan, so that the agent fetches exactly what was promised; agent/runtime_install.h does.
//
// Folders are kept as they are in the wheels: libtorch finds CUDA's libraries by
// $ORIGIN/../../nvidia/*/lib, which its own RPATH says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct PlannedFile {
  std::string name;  // in the wheel and below the folder of the runtime: "torch/lib/libc10.so"
  std::int64_t bytes = 0;
};

struct PlannedWheel {
  std::string name;  // "torch 2.11.0"
  std::string url;
  std::string sha256;
  std::int64_t bytes = 0;
  std::vector<PlannedFile> files;  // to be unpacked; nothing else is
};

// The list of this program. Without a GPU only what libtorch_cpu is linked with.
std::vector<PlannedWheel> pinned_runtime(bool with_gpu);

// A list as requirements/runtime.txt has it. Error: corrupt, with the line.
Result<std::vector<PlannedWheel>> parse_runtime(std::string_view text, bool with_gpu);

// What all wheels have together, and all files.
std::int64_t download_bytes(const std::vector<PlannedWheel>& wheels);
std::int64_t unpacked_bytes(const std::vector<PlannedWheel>& wheels);
// At the worst moment: all files, and the largest wheel, which is removed when it is unpacked.
std::int64_t disk_bytes(const std::vector<PlannedWheel>& wheels);

// Whether the name leads to a place below the folder it is put to: relative, no "..", no empty
// part, no backslash.
bool leads_below(std::string_view name);

}  // namespace mayfly
