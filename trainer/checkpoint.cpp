#include "trainer/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/sha256.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kPrefix = "checkpoint-";
constexpr const char* kHiddenAdapter = ".adapter";
constexpr const char* kManifest = "manifest.json";
constexpr const char* kResume = "resume.json";
constexpr const char* kAdapter = "adapter_model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";

std::optional<std::int64_t> step_of(const std::string& name) {
  if (name.rfind(kPrefix, 0) != 0) return std::nullopt;
  std::int64_t step = 0;
  const char* const first = name.data() + kPrefix.size();
  const char* const last = name.data() + name.size();
  const auto [end, fault] = std::from_chars(first, last, step);
  if (fault != std::errc() || end != last || step < 0) return std::nullopt;
  return step;
}

Status remove_folder(const fs::path& folder) {
  std::error_code code;
  fs::remove_all(folder, code);
  if (!code) return Unit{};
  return Error{ErrorKind::refused, "removing " + folder.string() + ": " + code.message()};
}

// Size and SHA-256 of every file in `folder`. Returns the sum of sizes, the manifest's included.
Result<std::int64_t> write_manifest(const fs::path& folder) {
  json files = json::object();
  std::int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const Result<std::string> digest = sha256_file(entry.path());
    if (!digest) return digest.error();
    const auto size = static_cast<std::int64_t>(entry.file_size());
    files[entry.path().filename().string()] = {{"size", size}, {"sha256", *digest}};
    bytes += size;
  }
  const std::string text = json_text({{"v", 1}, {"files", files}});
  if (Status written = write_file(folder / kManifest, text); !written) return written.error();
  return bytes + static_cast<std::int64_t>(text.size());
}

Result<std::int64_t> fill(const fs::path& folder, const CheckpointContent& content) {
  if (Status made = make_folders(folder); !made) return made.error();
  if (Status written = write_adapter_files(folder, content.adapter); !written) {
    return written.error();
  }
  if (Status written = write_safetensors(folder / kOptimizer, content.optimizer); !written) {
    return written.error();
  }
  if (Status written = write_file(folder / "trainer_state.json", content.trainer_state); !written) {
    return written.error();
  }
  const std::string resume = json_line(resume_json(content.state)) + "\n";
  if (Status written = write_file(folder / kResume, resume); !written) return written.error();
  return write_manifest(folder);
}

Error damaged(const fs::path& folder, const std::string& what) {
  return Error{ErrorKind::corrupt, "the checkpoint " + folder.string() + " is damaged: " + what};
}

struct ManifestEntry {
  std::string name;
  std::int64_t size = 0;
  std::string sha256;
};

Result<std::vector<ManifestEntry>> read_manifest(const fs::path& folder) {
  const Result<std::string> text = read_file(folder / kManifest);
  if (!text) return text.error();
  const Result<json> manifest = parse_json(*text, (folder / kManifest).string());
  if (!manifest) return manifest.error();
  std::vector<ManifestEntry> entries;
  try {
    for (const auto& [name, entry] : manifest->at("files").items()) {
      entries.push_back({name, entry.at("size"), entry.at("sha256")});
    }
  } catch (const json::exception& error) {
    return damaged(folder, std::string("its manifest: ") + error.what());
  }
  return entries;
}

Status check_manifest(const fs::path& folder) {
  const Result<std::vector<ManifestEntry>> entries = read_manifest(folder);
  if (!entries) return entries.error();
  for (const char* needed : {kResume, kAdapter, kOptimizer}) {
    const bool named =
        std::any_of(entries->begin(), entries->end(),
                    [&](const ManifestEntry& entry) { return entry.name == needed; });
    if (!named) return damaged(folder, std::string(needed) + " is missing");
  }
  for (const ManifestEntry& entry : *entries) {
    std::error_code code;
    const auto size = fs::file_size(folder / entry.name, code);
    if (code) return damaged(folder, entry.name + " is missing");
    if (static_cast<std::int64_t>(size) != entry.size) {
      return damaged(folder, entry.name + " has " + std::to_string(size) + " bytes, not " +
                                 std::to_string(entry.size));
    }
    const Result<std::string> digest = sha256_file(folder / entry.name);
    if (!digest) return digest.error();
    if (*digest != entry.sha256) return damaged(folder, entry.name + " has another SHA-256");
  }
  return Unit{};
}

}  // namespace

Result<std::int64_t> write_checkpoint(const RunDirectory& run, const CheckpointContent& content) {
  const fs::path target = run.checkpoint(content.state.step);
  const fs::path hidden = run.checkpoints() / ("." + target.filename().string());
  if (Status removed = remove_folder(hidden); !removed) return removed.error();
  const Result<std::int64_t> bytes = fill(hidden, content);
  const auto give_up = [&](Error error) {
    const Status removed = remove_folder(hidden);
    if (!removed) error.message += "; " + removed.error().message;
    return while_doing("writing " + target.filename().string(), std::move(error));
  };
  if (!bytes) return give_up(bytes.error());
  std::error_code code;
  if (fs::exists(target, code)) {
    if (Status removed = remove_folder(hidden); !removed) return removed.error();
    return *bytes;
  }
  if (Status published = publish_folder(hidden, target); !published) {
    return give_up(published.error());
  }
  return *bytes;
}

Status rehearse_checkpoint(const RunDirectory& run, const CheckpointContent& content) {
  const fs::path hidden = run.checkpoints() / ".checkpoint-rehearsal";
  if (Status removed = remove_folder(hidden); !removed) return removed;
  const Result<std::int64_t> bytes = fill(hidden, content);
  const Status removed = remove_folder(hidden);
  if (!bytes) return while_doing("trying to write a checkpoint before training", bytes.error());
  return removed;
}

Result<Checkpoint> read_checkpoint(const fs::path& folder) {
  if (Status checked = check_manifest(folder); !checked) return checked.error();
  const Result<std::string> text = read_file(folder / kResume);
  if (!text) return text.error();
  const Result<json> resume = parse_json(*text, (folder / kResume).string());
  if (!resume) return resume.error();
  Result<TrainingState> state = training_state_from_json(*resume);
  if (!state) return state.error();
  Result<SafetensorsFile> adapter = SafetensorsFile::open(folder / kAdapter);
  if (!adapter) return adapter.error();
  Result<SafetensorsFile> optimizer = SafetensorsFile::open(folder / kOptimizer);
  if (!optimizer) return optimizer.error();
  std::int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return Checkpoint{folder, bytes, std::move(*state), std::move(*adapter), std::move(*optimizer)};
}

Status publish_adapter(const RunDirectory& run, const AdapterFiles& files) {
  const fs::path hidden = run.root / kHiddenAdapter;
  if (Status removed = remove_folder(hidden); !removed) return removed;
  if (Status made = make_folders(hidden); !made) return made;
  if (Status written = write_adapter_files(hidden, files); !written) {
    return while_doing("writing the adapter", written.error());
  }
  if (Status removed = remove_folder(run.adapter()); !removed) return removed;
  return publish_folder(hidden, run.adapter());
}

std::vector<std::int64_t> checkpoint_steps(const RunDirectory& run) {
  std::vector<std::int64_t> steps;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run.checkpoints(), code)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.is_directory()) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Status remove_leftovers(const RunDirectory& run) {
  std::vector<fs::path> leftovers;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run.checkpoints(), code)) {
    if (entry.path().filename().string().rfind(".", 0) == 0) leftovers.push_back(entry.path());
  }
  leftovers.push_back(run.root / kHiddenAdapter);
  for (const fs::path& folder : leftovers) {
    if (Status removed = remove_folder(folder); !removed) return removed;
  }
  return Unit{};
}

Status delete_old_checkpoints(const RunDirectory& run, std::int64_t keep) {
  std::vector<std::int64_t> steps = checkpoint_steps(run);
  const auto kept = static_cast<std::size_t>(std::max<std::int64_t>(keep, 1));
  if (steps.size() <= kept) return Unit{};
  steps.resize(steps.size() - kept);
  std::error_code code;
  const bool has_agent = fs::exists(run.agent(), code);
  for (const std::int64_t step : steps) {
    if (has_agent && !fs::exists(run.uploaded_mark(step), code)) continue;
    // Renamed first: a folder that is half deleted must not look complete.
    const fs::path hidden =
        run.checkpoints() / (".deleted-" + run.checkpoint(step).filename().string());
    fs::rename(run.checkpoint(step), hidden, code);
    if (code) {
      return Error{ErrorKind::refused,
                   "deleting " + run.checkpoint(step).string() + ": " + code.message()};
    }
    if (Status removed = remove_folder(hidden); !removed) return removed;
  }
  return Unit{};
}

}  // namespace mayfly
