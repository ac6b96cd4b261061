#include "core/run/checkpoint_folder.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/sha256.h"

namespace mayfly {

namespace fs = std::filesystem;
namespace {

constexpr std::string_view kCheckpointPrefix = "checkpoint-";

Error damaged_folder(const fs::path& folder, const std::string& what) {
  return Error{ErrorKind::corrupt, "the checkpoint " + folder.string() + " is damaged: " + what};
}

}  // namespace

Result<std::int64_t> write_manifest(const fs::path& folder) {
  nlohmann::json files = nlohmann::json::object();
  std::int64_t bytes = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const Result<std::string> digest = sha256_file(entry.path());
    if (!digest) return digest.error();
    const auto size = static_cast<std::int64_t>(entry.file_size());
    files[entry.path().filename().string()] = {{"size", size}, {"sha256", *digest}};
    bytes += size;
  }
  if (code) return Error{ErrorKind::corrupt, "listing " + folder.string() + ": " + code.message()};
  const std::string text = json_text({{"v", 1}, {"files", files}});
  if (Status written = write_file(folder / kManifestName, text); !written) return written.error();
  return bytes + static_cast<std::int64_t>(text.size());
}

Result<std::vector<ManifestEntry>> read_manifest(const fs::path& folder) {
  const fs::path path = folder / kManifestName;
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<nlohmann::json> manifest = parse_json(*text, path.string());
  if (!manifest) return manifest.error();
  std::vector<ManifestEntry> entries;
  try {
    for (const auto& [name, entry] : manifest->at("files").items()) {
      if (name.find('/') != std::string::npos || name.starts_with(".")) {
        return damaged_folder(folder, "its manifest names \"" + name + "\"");
      }
      entries.push_back({name, entry.at("size"), entry.at("sha256")});
    }
  } catch (const nlohmann::json::exception& error) {
    return damaged_folder(folder, std::string("its manifest: ") + error.what());
  }
  return entries;
}

Status check_manifest(const fs::path& folder, const std::vector<std::string_view>& needed) {
  const Result<std::vector<ManifestEntry>> entries = read_manifest(folder);
  if (!entries) return entries.error();
  for (const std::string_view name : needed) {
    const bool named = std::any_of(entries->begin(), entries->end(),
                                   [&](const ManifestEntry& entry) { return entry.name == name; });
    if (!named) return damaged_folder(folder, std::string(name) + " is missing");
  }
  for (const ManifestEntry& entry : *entries) {
    if (!is_plain_file(folder / entry.name)) {
      return damaged_folder(folder, entry.name + " is missing, or no file of its own");
    }
    std::error_code code;
    const auto size = fs::file_size(folder / entry.name, code);
    if (code) return damaged_folder(folder, entry.name + " cannot be read");
    if (static_cast<std::int64_t>(size) != entry.size) {
      return damaged_folder(folder, entry.name + " has " + std::to_string(size) + " bytes, not " +
                                        std::to_string(entry.size));
    }
    const Result<std::string> digest = sha256_file(folder / entry.name);
    if (!digest) return digest.error();
    if (*digest != entry.sha256) return damaged_folder(folder, entry.name + " has another SHA-256");
  }
  return Unit{};
}

std::optional<std::int64_t> checkpoint_step(const std::string& folder_name) {
  if (!folder_name.starts_with(kCheckpointPrefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* const last = folder_name.data() + folder_name.size();
  const auto [end, fault] =
      std::from_chars(folder_name.data() + kCheckpointPrefix.size(), last, step);
  if (fault != std::errc() || end != last || step < 0) return std::nullopt;
  return step;
}

std::vector<std::int64_t> checkpoint_steps(const RunDirectory& run) {
  std::vector<std::int64_t> steps;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run.checkpoints(), code)) {
    const auto step = checkpoint_step(entry.path().filename().string());
    if (step && entry.is_directory(code)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

}  // namespace mayfly
