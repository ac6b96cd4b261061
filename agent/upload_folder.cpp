#include "agent/upload_folder.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/log.h"
#include "core/open_beneath.h"
#include "core/run/checkpoint_folder.h"
#include "core/sha256.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

fs::path frozen_path(const RunDirectory& run, const std::string& label) {
  return run.agent() / "upload" / label;
}

enum class Frozen { adapter, everything };

std::vector<StoreUpload> files_in(const fs::path& folder, Frozen what) {
  std::vector<StoreUpload> files;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    const bool wanted = what == Frozen::everything || is_published(name);
    if (is_plain_file(entry.path()) && wanted) files.push_back({entry.path(), name});
  }
  std::sort(files.begin(), files.end(),
            [](const StoreUpload& a, const StoreUpload& b) { return a.path < b.path; });
  return files;
}

Result<std::vector<ManifestEntry>> whole_manifest(const fs::path& folder) {
  if (const Status whole = check_manifest(folder); !whole) return whole.error();
  return read_manifest(folder);
}

// A hard link where the file system has them, else a copy. By the open file and not by its name:
// the trainer could put a link to another file in its place meanwhile.
Status link_or_copy(const RunDirectory& run, const fs::path& source, const fs::path& target) {
  const Result<Descriptor> file =
      open_beneath(run.root, source.lexically_relative(run.root), O_RDONLY);
  if (!file) return file.error();
  const std::string open_file = "/proc/self/fd/" + std::to_string(file->get());
  if (::linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW) == 0) {
    return Unit{};
  }
  std::error_code code;
  fs::copy_file(open_file, target, fs::copy_options::overwrite_existing, code);
  if (!code) return Unit{};
  const bool full = code == std::errc::no_space_on_device;
  return Error{full ? ErrorKind::no_space : ErrorKind::refused,
               "freezing " + source.string() + ": " + code.message()};
}

// Makes `frozen` appear with links to the sources.
Status freeze(const RunDirectory& run, const std::vector<StoreUpload>& sources,
              const fs::path& frozen) {
  const fs::path fresh = frozen.parent_path() / ("." + frozen.filename().string());
  std::error_code code;
  fs::remove_all(fresh, code);
  if (const Status made = make_folders(fresh); !made) return made;
  for (const StoreUpload& source : sources) {
    const Status linked = link_or_copy(run, source.source, fresh / source.path);
    if (!linked) return linked;
  }
  return publish_folder(fresh, frozen);
}

// The files to publish, each of them a file and no link.
Result<std::vector<StoreUpload>> sources_in(const RunDirectory& run, const std::string& folder,
                                            std::vector<ManifestEntry> manifest, Frozen what) {
  std::vector<StoreUpload> sources;
  if (what == Frozen::everything) manifest.push_back({kManifestName, 0, ""});
  for (const ManifestEntry& entry : manifest) {
    if (what == Frozen::adapter && !is_published(entry.name)) continue;
    const Result<Descriptor> file = open_beneath(run.root, fs::path(folder) / entry.name, O_RDONLY);
    if (!file) return file.error();
    sources.push_back({run.root / folder / entry.name, entry.name});
  }
  if (sources.empty()) {
    return Error{ErrorKind::not_found,
                 "there is nothing to upload in " + (run.root / folder).string()};
  }
  return sources;
}

}  // namespace

bool is_published(const std::string& name) {
  constexpr std::array kNames = {
      "adapter_model.safetensors", "adapter_config.json", "README.md",  "special_tokens_map.json",
      "chat_template.jinja",       "vocab.json",          "merges.txt", "added_tokens.json"};
  return name.starts_with("tokenizer") ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Result<std::vector<StoreUpload>> freeze_folder(const RunDirectory& run, const std::string& folder,
                                               const std::string& label,
                                               OptimizerState optimizer_state) {
  const bool everything = label != "main" && optimizer_state == OptimizerState::all;
  const Frozen what = everything ? Frozen::everything : Frozen::adapter;
  const fs::path frozen = frozen_path(run, label);
  std::vector<StoreUpload> files = files_in(frozen, what);
  if (!files.empty()) return files;

  // Neither a folder that is cut short nor a file that the trainer did not write goes up.
  const Result<std::vector<ManifestEntry>> manifest = whole_manifest(run.root / folder);
  if (!manifest) return manifest.error();
  const Result<std::vector<StoreUpload>> sources = sources_in(run, folder, *manifest, what);
  if (!sources) return sources.error();
  const Status done = freeze(run, *sources, frozen);
  if (done) return files_in(frozen, what);
  // On a disk that takes nothing more the folder itself is sent: the trainer may not delete it
  // before the agent has let it go.
  if (done.error().kind == ErrorKind::not_found)
    return while_doing("freezing " + label, done.error());
  log_warn("uploading " + folder + " from its place: " + done.error().message);
  return *sources;
}

void remove_frozen(const RunDirectory& run, const std::string& label) {
  std::error_code ignored;
  fs::remove_all(frozen_path(run, label), ignored);
}

Result<std::string> list_sha256(const std::vector<StoreUpload>& files) {
  std::string list;
  for (const StoreUpload& file : files) {
    const Result<std::string> hash = sha256_file(file.source);
    if (!hash) return hash.error();
    list += *hash + "  " + file.path + "\n";
  }
  return sha256_hex(list);
}

}  // namespace mayfly
