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
constexpr std::int64_t kLogitSlice = std::int64_t{32} << 20;
constexpr std::int64_t kGpuLogitSlice = std::int64_t{256} << 20;

// Of the blocks' linear layers, in elements.
struct Linears {
  std::int64_t all = 0;
  std::int64_t largest = 0;
};

Linears linears(const Architecture& model) {
  Linears found;
  for (const Projection projection : projections(model)) {
    const std::int64_t size =
        projection_inputs(model, projection) * projection_outputs(model, projection);
    found.all += model.layers * size;
    found.largest = std::max(found.largest, size);
  }
  return found;
}

std::int64_t weight_bytes(const Architecture& model, const TrainingShape& shape) {
  const bool quantized = shape.quant.bits || model.has_nf4_weights;
  if (!quantized) return model.parameters() * shape.bytes_a_number;
  const Linears linear = linears(model);
  // Half a byte, a scale for 64 in one byte or four, and a scale of scales for 256 of them.
  const double bytes = shape.quant.double_quant ? 0.5 + 1.0 / 64 + 4.0 / 16384 : 0.5 + 4.0 / 64;
  return static_cast<std::int64_t>(bytes * static_cast<double>(linear.all)) +
         (model.parameters() - linear.all + linear.largest) * shape.bytes_a_number;
}

// Numbers a token that a block keeps.
std::int64_t kept_numbers(const Architecture& model, const LoraConfig& lora,
                          Checkpointing checkpointing) {
  const auto adapters = static_cast<std::int64_t>(projections(model).size()) * lora.r;
  // A norm behind the feed-forward half has that half's result to go back through.
  const std::int64_t normed = model.norm_place != NormPlace::before ? model.width : 0;
  if (checkpointing == Checkpointing::blocks) return model.width + normed + adapters;
  std::int64_t attention = 2 * (model.width + model.query_width() + model.kv_width()) + 2 * normed;
  if (model.query_key_norm != QueryKeyNorm::none) {
    attention += model.query_width() + model.kv_width();
  }
  if (checkpointing == Checkpointing::feed_forward) return attention + adapters;
  return attention + 2 * model.ff_width + adapters;
}

std::int64_t attention_and_logits(const Architecture& model, const TrainingShape& shape) {
  const std::int64_t logits = shape.tokens * model.vocabulary * shape.bytes_a_number;
  // Layers with a window that an example exceeds have no fused attention on a GPU, nor have those
  // with a soft cap.
  bool has_masks = model.soft_caps.attention > 0;
  for (const LayerChoice& choice : model.layer_choices) {
    has_masks = has_masks || (choice.window > 0 && choice.window < shape.longest);
  }
  const std::int64_t products = 4 * kFloat * model.heads * shape.longest * shape.longest;
  if (!shape.fused) return products + 5 * kLogitSlice;
  return std::min(kGpuLogitSlice, logits) +
         (has_masks ? products : kFloat * shape.tokens * model.heads);
}

bool is_target(const LoraConfig& lora, std::string_view name) {
  return std::any_of(
      lora.target_modules.begin(), lora.target_modules.end(),
      [name](const std::string& target) { return target == "all-linear" || target == name; });
}

}  // namespace

std::int64_t adapter_parameters(const Architecture& model, const LoraConfig& lora) {
  std::int64_t a_block = 0;
  for (const Projection projection : projections(model)) {
    if (!is_target(lora, projection_name(projection))) continue;
    const std::int64_t outputs = projection_outputs(model, projection);
    a_block += lora.r * (projection_inputs(model, projection) + outputs);
    if (lora.use_dora) a_block += outputs;
  }
  return model.layers * a_block;
}

TrainingMemory training_memory(const Architecture& model, const LoraConfig& lora,
                               const TrainingShape& shape) {
  const std::int64_t bytes = shape.bytes_a_number;
  TrainingMemory memory;
  memory.weights = weight_bytes(model, shape);
  memory.adapter = adapter_parameters(model, lora) * kFloat;
  memory.optimizer = (1 + shape.moments) * memory.adapter;
  memory.activations =
      shape.tokens * bytes * model.layers * kept_numbers(model, lora, shape.checkpointing);
  memory.working = shape.tokens * bytes * (4 * model.ff_width + 6 * model.width) +
                   attention_and_logits(model, shape);
  // DoRA's products are made again beside gradients that are scaled.
  if (lora.use_dora) memory.working += shape.tokens * bytes * 3 * model.ff_width;
  // A block that is made again is there whole while its gradients are made.
  if (shape.checkpointing == Checkpointing::blocks) {
    memory.working +=
        shape.tokens * bytes * 2 * (model.width + model.query_width() + model.kv_width());
  }
  memory.reserve = memory.total() / 10 + kDriver;
  return memory;
}

std::int64_t host_memory() {
  // libtorch with CUDA, 3 GB resident while it loads; the agent and the system.
  return 5'000'000'000;
}

}  // namespace mayfly
