#include "agent/checkpoint_search.h"

#include "core/log.h"
#include "core/run/checkpoint_folder.h"

namespace mayfly {

namespace fs = std::filesystem;

bool CheckpointSearch::is_whole(std::int64_t step) {
  const fs::path folder = run_.checkpoint(step);
  std::error_code none;
  const auto time = fs::last_write_time(folder / kManifestName, none);
  const auto known = verdicts_.find(step);
  if (known != verdicts_.end() && known->second.manifest_time == time) return known->second.whole;
  const Status checked = check_manifest(folder);
  if (!checked) log_warn("passing over a checkpoint: " + checked.error().message);
  verdicts_[step] = {time, static_cast<bool>(checked)};
  return static_cast<bool>(checked);
}

std::optional<NewestCheckpoint> CheckpointSearch::newest() {
  const std::vector<std::int64_t> steps = checkpoint_steps(run_);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (!is_whole(*step)) continue;
    return NewestCheckpoint{"checkpoints/" + run_.checkpoint(*step).filename().string(), *step};
  }
  return std::nullopt;
}

}  // namespace mayfly
