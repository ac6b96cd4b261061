// A folder of work as both sides of the run directory know it: complete if its manifest agrees.
//
// The trainer writes manifest.json last; the agent and a trainer that goes on believe a folder only
// after they compared names, sizes and SHA-256 with it. A name alone proves nothing: after a power
// cut or a failing disk a folder can be there with files cut short (docs/run_directory.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/run/directory.h"

namespace mayfly {

constexpr const char* kManifestName = "manifest.json";

struct ManifestEntry {
  std::string name;  // of a file in the folder itself
  std::int64_t size = 0;
  std::string sha256;
};

// Writes the manifest of all files in `folder`, synced. Returns the sum of sizes, its own included.
// Errors as write_file.
Result<std::int64_t> write_manifest(const std::filesystem::path& folder);
// Errors: not_found, corrupt.
Result<std::vector<ManifestEntry>> read_manifest(const std::filesystem::path& folder);

// Every file that the manifest names is there with that size and hash (it is read: 1.7 GB/s), and
// those in `needed` are among them. Errors: not_found (no manifest), corrupt, with file and reason.
Status check_manifest(const std::filesystem::path& folder,
                      const std::vector<std::string_view>& needed = {});

// 200 for "checkpoint-200".
std::optional<std::int64_t> checkpoint_step(const std::string& folder_name);
// Steps of the folders that are called checkpoints, ascending; whether they are complete is not
// looked at.
std::vector<std::int64_t> checkpoint_steps(const RunDirectory& run);

}  // namespace mayfly
