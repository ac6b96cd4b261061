#include "trainer/forecast.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/model/architecture.h"
#include "core/terminal.h"
#include "core/text/text_model.h"
#include "trainer/batches.h"
#include "trainer/nn/lora.h"
#include "trainer/seeds.h"

namespace mayfly {

namespace {

// A field of /proc in kB; 0: it is not there.
std::int64_t proc_bytes(const char* file, const std::string& field) {
  std::ifstream in(file);
  std::int64_t kilobytes = 0;
  for (std::string word; in >> word;) {
    if (word == field && in >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

// What a container may have, where one is.
std::int64_t container_limit() {
  std::ifstream in("/sys/fs/cgroup/memory.max");
  std::int64_t bytes = 0;
  return in >> bytes ? bytes : std::numeric_limits<std::int64_t>::max();
}

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

std::int64_t tokens_of(const Dataset& data, const std::vector<std::uint32_t>& sequences) {
  std::int64_t tokens = 0;
  for (const std::uint32_t sequence : sequences) {
    for (const std::uint32_t row : data.sequences[sequence]) {
      tokens += static_cast<std::int64_t>(data.train[row].ids.size());
    }
  }
  return tokens;
}

std::int64_t largest_batch(const Dataset& data, Batches& batches, std::int64_t steps) {
  std::int64_t largest = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    for (const auto& batch : batches.of_step(step)) {
      largest = std::max(largest, tokens_of(data, batch));
    }
  }
  return largest;
}

TrainingMemory memory_of(const Architecture& model, const LoraConfig& lora,
                         const TrainingShape& shape, bool on_cpu) {
  TrainingMemory memory = training_memory(model, lora, shape);
  if (on_cpu) memory.reserve = 0;  // it is for a GPU's driver; there is room beside it, or swap
  return memory;
}

// Among the settings that give the same result, or nearly. `longest`: tokens of the longest
// sequence that a batch is made of.
std::string saves_most(const RunPlan& plan, const Architecture& model, const TrainingShape& shape,
                       std::int64_t longest, bool on_cpu) {
  const TrainConfig& train = plan.config.train;
  std::vector<std::pair<std::string, TrainingShape>> changes;
  if (train.gradient_checkpointing != Checkpointing::blocks) {
    changes.emplace_back("train.gradient_checkpointing: true", shape);
    changes.back().second.checkpointing = Checkpointing::blocks;
  }
  if (const BatchSizes sizes = batch_sizes(train); sizes.per_device > 1) {
    changes.emplace_back("train.per_device_batch_size: 1 with gradient_accumulation: " +
                             std::to_string(sizes.effective),
                         shape);
    changes.back().second.tokens = longest;
  }
  if (!shape.quant.bits && !model.has_nf4_weights) {
    changes.emplace_back("quant.bits: 4", shape);
    changes.back().second.quant.bits = QuantBits::four;
  }
  const std::int64_t now = memory_of(model, plan.config.lora, shape, on_cpu).total();
  std::int64_t most = 0;
  std::string text;
  for (const auto& [name, changed] : changes) {
    const std::int64_t saved = now - memory_of(model, plan.config.lora, changed, on_cpu).total();
    if (saved <= most) continue;
    most = saved;
    text = name + " (" + gigabytes(saved) + " less)";
  }
  return text;
}

}  // namespace

Result<Forecast> forecast(const RunPlan& plan, const ComputeDevice& device) {
  const RunConfig& config = plan.config;
  const Result<Architecture> model = read_architecture(plan.model_dir);
  if (!model) return model.error();
  const Result<LoraShape> adapter = lora_shape_from(config.lora, *model);
  if (!adapter) return adapter.error();
  Result<TextModel> text = TextModel::load(plan.model_dir, plan.created_at);
  if (!text) return text.error();
  if (Status chosen = text->choose_template(config.data, plan.created_at); !chosen) {
    return chosen.error();
  }
  const Result<Dataset> data = load_dataset(config.data, *text, {});
  if (!data) return data.error();

  Batches batches(static_cast<std::int64_t>(data->sequences.size()), batch_sizes(config.train),
                  data_order_seed(static_cast<std::uint64_t>(plan.seed)), config.data.shuffle);
  const bool on_cpu = device.device.is_cpu();
  Forecast result{.device = device.name,
                  .type = device.type == at::kBFloat16 ? "bfloat16" : "float32",
                  .data = data->train_counts,
                  .held_out = data->validation_counts.examples,
                  .steps = batches.total_steps(config.train),
                  .steps_per_epoch = batches.steps_per_epoch(),
                  .memory = {},
                  .saves_most = {},
                  .warnings = data->warnings};
  result.largest_batch = largest_batch(*data, batches, result.steps);
  const TrainingShape shape{.tokens = result.largest_batch,
                            .longest = data->train_counts.longest,
                            .bytes_a_number = device.type == at::kBFloat16 ? 2 : 4,
                            .quant = config.quant,
                            .checkpointing = config.train.gradient_checkpointing,
                            .fused = on_cpu};
  result.memory = memory_of(*model, config.lora, shape, on_cpu);
  result.saves_most = saves_most(plan, *model, shape, data->train_counts.longest_sequence, on_cpu);
  if (on_cpu) {
    result.program_bytes = proc_bytes("/proc/self/status", "VmRSS:");
    result.there_bytes = std::min(
        proc_bytes("/proc/meminfo", "MemAvailable:") + result.program_bytes, container_limit());
  }
  return result;
}

std::string forecast_text(const Forecast& forecast) {
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  const TrainingMemory& memory = forecast.memory;
  std::vector<std::vector<std::string>> rows = {
      {"device", forecast.device + ", " + forecast.type},
      {"data", number(forecast.data.examples) + " examples, " + number(forecast.data.tokens) +
                   " tokens an epoch, " + number(forecast.data.tokens_trained_on) + " trained on" +
                   (forecast.held_out > 0 ? "; " + number(forecast.held_out) + " held out" : "")},
      {"steps", number(forecast.steps) + ", " + number(forecast.steps_per_epoch) + " an epoch"},
      {"largest batch", number(forecast.largest_batch) + " tokens"},
      {"memory", gigabytes(forecast.peak_bytes()) + " at most"},
      {"  weights", gigabytes(memory.weights)},
      {"  adapter", gigabytes(memory.adapter + memory.optimizer) + " with its optimizer"},
      {"  activations", gigabytes(memory.activations + memory.working)}};
  if (forecast.program_bytes > 0) {
    rows.push_back({"  program", gigabytes(forecast.program_bytes) + " with libraries and data"});
  }
  if (memory.reserve > 0) rows.push_back({"  reserve", gigabytes(memory.reserve)});
  if (forecast.there_bytes > 0) {
    rows.push_back({"there is", gigabytes(forecast.there_bytes) +
                                    (forecast.fits() ? "" : ": it does NOT fit")});
  }
  if (!forecast.saves_most.empty()) rows.push_back({"saves most", forecast.saves_most});
  for (const std::string& warning : forecast.warnings) rows.push_back({"warning", warning});
  return aligned_table(rows, {});
}

std::string forecast_json(const Forecast& forecast) {
  const TrainingMemory& memory = forecast.memory;
  nlohmann::ordered_json out = {{"ok", true},
                                {"device", forecast.device},
                                {"type", forecast.type},
                                {"examples", forecast.data.examples},
                                {"tokens", forecast.data.tokens},
                                {"tokens_trained_on", forecast.data.tokens_trained_on},
                                {"validation_examples", forecast.held_out},
                                {"steps", forecast.steps},
                                {"steps_per_epoch", forecast.steps_per_epoch},
                                {"largest_batch_tokens", forecast.largest_batch},
                                {"memory_bytes",
                                 {{"peak", forecast.peak_bytes()},
                                  {"program", forecast.program_bytes},
                                  {"weights", memory.weights},
                                  {"adapter", memory.adapter},
                                  {"optimizer", memory.optimizer},
                                  {"activations", memory.activations},
                                  {"working", memory.working},
                                  {"reserve", memory.reserve}}},
                                {"fits", forecast.fits()},
                                {"warnings", forecast.warnings}};
  if (forecast.there_bytes > 0) out["available_bytes"] = forecast.there_bytes;
  if (!forecast.saves_most.empty()) out["saves_most"] = forecast.saves_most;
  return out.dump() + "\n";
}

}  // namespace mayfly
