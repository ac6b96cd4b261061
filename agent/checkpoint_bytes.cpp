#include "agent/checkpoint_bytes.h"

#include "core/config/run_config.h"
#include "core/model/architecture.h"
#include "core/model/training_memory.h"
#include "core/run/checkpoint_folder.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kFloatBytes = 4;

std::optional<std::int64_t> newest_checkpoint(const RunDirectory& run) {
  const std::vector<std::int64_t> steps = checkpoint_steps(run);
  if (steps.empty()) return std::nullopt;
  const auto manifest = read_manifest(run.checkpoint(steps.back()));
  if (!manifest) return std::nullopt;
  std::int64_t bytes = 0;
  for (const ManifestEntry& entry : *manifest) bytes += entry.size;
  return bytes;
}

fs::path model_folder(const RunPlan& plan, const RunDirectory& run) {
  if (!plan.model_dir.empty()) return plan.model_dir;
  return plan.config.model.base.starts_with('/') ? fs::path(plan.config.model.base) : run.model();
}

std::int64_t tokenizer_bytes(const fs::path& model) {
  std::int64_t bytes = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(model, code)) {
    if (!entry.path().filename().string().starts_with("tokenizer")) continue;
    const std::uintmax_t size = entry.file_size(code);
    if (!code) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace

std::optional<std::int64_t> checkpoint_bytes(const RunPlan& plan, const RunDirectory& run) {
  if (const auto measured = newest_checkpoint(run)) return measured;
  const fs::path model = model_folder(plan, run);
  const Result<Architecture> shapes = read_architecture(model);
  if (!shapes) return std::nullopt;
  const std::int64_t parameters = adapter_parameters(*shapes, plan.config.lora);
  const std::int64_t copies = 1 + optimizer_moments(plan.config.train);
  return parameters * copies * kFloatBytes + tokenizer_bytes(model);
}

}  // namespace mayfly
