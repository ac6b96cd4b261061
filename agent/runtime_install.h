// The trainer's libraries onto a machine that has none: fetched from the pinned wheels of the plan
// (core/run/runtime.h), checked by their hashes, unpacked below one folder, which appears by rename
// when it is whole.
//
// A life of the agent that is cut off leaves finished wheels, which the next one does not fetch
// again. Memory: pieces of 256 KB. Disk: what is unpacked and the largest wheel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/result.h"
#include "core/run/runtime.h"

namespace mayfly {

// What is being done, and bytes fetched and unpacked so far, of everything.
using RuntimeProgress = std::function<void(const std::string& what, std::int64_t bytes)>;

// Where it is on a rented machine: the trainer's unit names the same folder.
std::filesystem::path runtime_folder();
// Of it, what the loader must look through; the rest is found from there.
std::filesystem::path runtime_library_folder();

struct RuntimeInstall {
  HttpClient& http;
  Clock& clock;
  std::filesystem::path folder;  // runtime_folder()
  // Bytes that are free where the folder will be; negative: not known.
  std::function<std::int64_t(const std::filesystem::path&)> free_bytes;
};

std::int64_t free_disk_bytes(const std::filesystem::path& folder);

// Everything of the list is in the folder. Nothing is asked of anybody if it is there already.
// Errors: no_space (before anything is fetched, too), corrupt (a hash, an archive, a file that is
// not in its wheel), those of download_wheel, refused (a name that leads elsewhere).
Status install_runtime(const std::vector<PlannedWheel>& wheels, const RuntimeInstall& install,
                       const RuntimeProgress& progress);

// The same if the trainer needs it: not where the loader finds everything without it, libtorch_cuda
// too where there is a GPU. Errors also: unsupported (the program lacks what no wheel brings, said
// before anything is fetched; or does not find what was installed).
Status bring_libraries(const std::filesystem::path& trainer,
                       const std::vector<PlannedWheel>& wheels, const RuntimeInstall& install,
                       const RuntimeProgress& progress);

}  // namespace mayfly
