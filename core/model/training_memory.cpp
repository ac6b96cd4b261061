#include "core/model/training_memory.h"

#include <algorithm>
#include <string_view>

#include "core/model/weight_names.h"

namespace mayfly {

namespace {

constexpr std::int64_t kFloat = 4;
// CUDA's context and the libraries' workspaces; 0.4 to 0.6 GB are commonly seen.
constexpr std::int64_t kDriver = 600'000'000;
// Slices of 32 MiB, in the type of computing and twice in float32 (trainer/ops/cross_entropy.h).
constexpr std::int64_t kLogits = 5 * (std::int64_t{32} << 20);

bool is_target(const LoraConfig& lora, std::string_view name) {
  return std::any_of(
      lora.target_modules.begin(), lora.target_modules.end(),
      [name](const std::string& target) { return target == "all-linear" || target == name; });
}

}  // namespace

std::int64_t adapter_parameters(const Architecture& model, const LoraConfig& lora) {
  std::int64_t a_block = 0;
  for (const Projection projection : kProjections) {
    if (!is_target(lora, projection_name(projection))) continue;
    a_block +=
        lora.r * (projection_inputs(model, projection) + projection_outputs(model, projection));
  }
  return model.layers * a_block;
}

TrainingMemory training_memory(const Architecture& model, const LoraConfig& lora,
                               const TrainingShape& shape) {
  const std::int64_t bytes = shape.bytes_a_number;
  const std::int64_t tokens = shape.examples_at_once * shape.longest;
  TrainingMemory memory;
  memory.weights = model.parameters() * bytes;
  memory.adapter = adapter_parameters(model, lora) * kFloat;
  memory.optimizer = 3 * memory.adapter;
  const std::int64_t kept =
      2 * (model.width + model.query_width() + model.kv_width() + model.ff_width) + 7 * lora.r;
  memory.activations = tokens * bytes * model.layers * kept;
  memory.working = tokens * bytes * (4 * model.ff_width + 6 * model.width) +
                   4 * kFloat * model.heads * shape.longest * shape.longest + kLogits;
  memory.reserve = memory.total() / 10 + kDriver;
  return memory;
}

std::int64_t host_memory() {
  // libtorch with CUDA, 3 GB resident while it loads; the agent and the system.
  return 5'000'000'000;
}

}  // namespace mayfly
