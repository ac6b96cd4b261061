#include "trainer/checkpoint.h"

#include <algorithm>
#include <system_error>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/run/checkpoint_folder.h"

namespace mayfly {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kHiddenAdapter = ".adapter";
constexpr const char* kResume = "resume.json";
constexpr const char* kAdapter = "adapter_model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";

Status remove_folder(const fs::path& folder) {
  std::error_code code;
  fs::remove_all(folder, code);
  if (!code) return Unit{};
  return Error{ErrorKind::refused, "removing " + folder.string() + ": " + code.message()};
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

std::int64_t folder_bytes(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    bytes += static_cast<std::int64_t>(entry.file_size(code));
  }
  return bytes;
}

Status check_checkpoint(const fs::path& folder) {
  return check_manifest(folder, {kResume, kAdapter, kOptimizer});
}

// What is already there under a name that is to be written: the same numbers, or something damaged
// that has to go. Renamed before it is deleted: what is half deleted must not look complete.
Status make_room(const RunDirectory& run, const fs::path& target) {
  std::error_code code;
  if (!fs::exists(target, code)) return Unit{};
  const fs::path hidden = run.checkpoints() / (".damaged-" + target.filename().string());
  if (Status removed = remove_folder(hidden); !removed) return removed;
  fs::rename(target, hidden, code);
  if (code) return Error{ErrorKind::refused, "moving " + target.string() + ": " + code.message()};
  return remove_folder(hidden);
}

// One try, in a hidden folder of its own. After a failed sync the kernel may have dropped what was
// to be written and say so once only, so nothing of a failed try is used again (PostgreSQL's
// "fsyncgate", 2018).
Result<std::int64_t> try_to_write(const RunDirectory& run, const fs::path& hidden,
                                  const CheckpointContent& content) {
  const fs::path target = run.checkpoint(content.state.step);
  if (Status removed = remove_folder(hidden); !removed) return removed.error();
  const Result<std::int64_t> bytes = fill(hidden, content);
  Status done = bytes ? make_room(run, target) : Status(bytes.error());
  if (done) done = publish_folder(hidden, target);
  if (done) return bytes;
  Error error = done.error();
  const Status removed = remove_folder(hidden);
  if (!removed) error.message += "; " + removed.error().message;
  return error;
}

}  // namespace

Result<std::int64_t> write_checkpoint(const RunDirectory& run, const CheckpointContent& content) {
  const fs::path target = run.checkpoint(content.state.step);
  const std::string name = target.filename().string();
  if (check_checkpoint(target)) return folder_bytes(target);
  Result<std::int64_t> bytes = try_to_write(run, run.checkpoints() / ("." + name), content);
  // A write error of the disk may be a bad block: new names get new ones.
  if (!bytes && bytes.error().kind == ErrorKind::corrupt) {
    bytes = try_to_write(run, run.checkpoints() / ("." + name + ".again"), content);
  }
  if (!bytes) return while_doing("writing " + name, bytes.error());
  return bytes;
}

Status rehearse_checkpoint(const RunDirectory& run, const CheckpointContent& content,
                           std::int64_t copies) {
  constexpr const char* kDoing = "trying to write a checkpoint before training";
  const fs::path hidden = run.checkpoints() / ".checkpoint-rehearsal";
  if (Status removed = remove_folder(hidden); !removed) return removed;
  const Result<std::int64_t> bytes = fill(hidden, content);
  Status room = bytes ? Status(Unit{}) : Status(bytes.error());
  if (room) room = reserve_space(hidden / "others", *bytes * std::max<std::int64_t>(0, copies - 1));
  const Status removed = remove_folder(hidden);
  if (!room) return while_doing(kDoing, room.error());
  return removed;
}

Result<Checkpoint> read_checkpoint(const fs::path& folder) {
  if (Status checked = check_checkpoint(folder); !checked) return checked.error();
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
  return Checkpoint{folder, folder_bytes(folder), std::move(*state), std::move(*adapter),
                    std::move(*optimizer)};
}

Status publish_adapter(const RunDirectory& run, const AdapterFiles& files) {
  const fs::path hidden = run.root / kHiddenAdapter;
  if (Status removed = remove_folder(hidden); !removed) return removed;
  if (Status made = make_folders(hidden); !made) return made;
  if (Status written = write_adapter_files(hidden, files); !written) {
    return while_doing("writing the adapter", written.error());
  }
  if (const auto manifest = write_manifest(hidden); !manifest) {
    return while_doing("writing the adapter", manifest.error());
  }
  if (Status removed = remove_folder(run.adapter()); !removed) return removed;
  return publish_folder(hidden, run.adapter());
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
  // Nothing goes while the newest cannot be read back: it may then be the last one that can.
  if (Status newest = check_checkpoint(run.checkpoint(steps.back())); !newest) return newest;
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
