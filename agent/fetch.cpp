#include "agent/fetch.h"

#include <algorithm>
#include <fstream>
#include <mutex>
#include <thread>

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/run/checkpoint_folder.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

bool is_local(const std::string& base) {
  return base.starts_with('/');
}

Status check_model_folder(const fs::path& folder) {
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    return Error{ErrorKind::not_found, "there is no folder " + folder.string() + " for the model"};
  }
  for (const char* name : {"config.json", "tokenizer.json"}) {
    if (!std::ifstream(folder / name)) {
      return Error{ErrorKind::not_found,
                   "the base model has no readable " + (folder / name).string()};
    }
  }
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    if (entry.path().extension() == ".safetensors") return Unit{};
  }
  return Error{ErrorKind::not_found, "the base model has no .safetensors in " + folder.string(),
               "only models with weights in safetensors are supported"};
}

Status check_data_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorKind::not_found, "cannot read the data file " + path};
  if (in.peek() == std::ifstream::traits_type::eof()) {
    return Error{ErrorKind::bad_data, "the data file is empty: " + path};
  }
  return Unit{};
}

Status link_model(const fs::path& folder, const RunDirectory& run) {
  std::error_code code;
  if (fs::exists(run.model(), code)) return Unit{};
  fs::create_directory_symlink(folder, run.model(), code);
  if (code) {
    return Error{ErrorKind::refused, "linking " + run.model().string() + ": " + code.message()};
  }
  return Unit{};
}

// Into the place where the trainer looks for checkpoints of its own.
Status fetch_checkpoint(const RunPlan& plan, const RunDirectory& run, const FetchSources& from,
                        const std::function<void(std::int64_t)>& progress) {
  const PlannedResume& resume = plan.resume;
  const fs::path target = run.checkpoint(resume.step);
  if (check_manifest(target)) return Unit{};
  const fs::path fresh = run.checkpoints() / (".fetched-" + std::to_string(resume.step));
  if (const Status made = make_folders(fresh); !made) return made;
  const Status done = from.checkpoint(resume.repo, resume.commit, fresh, progress);
  if (!done) return done;
  std::error_code code;
  fs::remove_all(fresh / ".download", code);
  if (const Status whole = check_manifest(fresh, {"resume.json"}); !whole) return whole;
  return publish_folder(fresh, target);
}

}  // namespace

Status fetch_inputs(const RunPlan& plan, const RunDirectory& run, const FetchSources& from,
                    const RuntimeProgress& progress) {
  std::int64_t before = 0;
  if (from.libraries) {
    const Status done = from.libraries([&](const std::string& what, std::int64_t bytes) {
      before = std::max(before, bytes);
      progress(what, bytes);
    });
    if (!done) return while_doing("fetching the trainer's libraries", done.error());
  }
  const ModelConfig& model = plan.config.model;
  fs::path folder = run.model();
  if (!plan.model_dir.empty()) {
    folder = plan.model_dir;
  } else if (is_local(model.base)) {
    folder = model.base;
    if (const Status linked = link_model(folder, run); !linked) return linked;
  } else {
    const Status done = from.model(model.base, model.revision, folder, [&](std::int64_t bytes) {
      progress("base model", before + bytes);
    });
    if (!done) return while_doing("fetching the base model " + model.base, done.error());
  }
  if (const Status checked = check_model_folder(folder); !checked) return checked;
  if (!plan.resume.repo.empty()) {
    const Status done = fetch_checkpoint(plan, run, from, [&](std::int64_t bytes) {
      progress("checkpoint to go on from", before + bytes);
    });
    if (!done) return while_doing("fetching the branch " + plan.resume.branch, done.error());
  }
  Status good = Unit{};
  for_each_input_file(plan.config.data, [&](const std::string&, const std::string& path) {
    if (good) good = check_data_file(path);
  });
  return good;
}

struct Fetcher::Shared {
  RunPlan plan;
  RunDirectory run;
  FetchSources from;
  mutable std::mutex mutex;  // guards view
  FetchView view;
};

Fetcher::Fetcher(const RunPlan& plan, RunDirectory run, FetchSources from)
    : shared_(std::make_shared<Shared>()) {
  shared_->plan = plan;
  shared_->run = std::move(run);
  shared_->from = std::move(from);
}

void Fetcher::start() {
  shared_->view.kind = FetchView::Kind::running;
  // Detached: a download that hangs must not keep the agent from ending.
  std::thread([shared = shared_] {
    const auto progress = [&](const std::string& what, std::int64_t bytes) {
      const std::lock_guard lock(shared->mutex);
      shared->view.what = what;
      shared->view.bytes = bytes;
    };
    const Status done = fetch_inputs(shared->plan, shared->run, shared->from, progress);
    const std::lock_guard lock(shared->mutex);
    shared->view.kind = done ? FetchView::Kind::done : FetchView::Kind::failed;
    if (!done) shared->view.error = done.error();
  }).detach();
}

FetchView Fetcher::view() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->view;
}

}  // namespace mayfly
