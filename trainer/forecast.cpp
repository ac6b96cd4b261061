#include "trainer/forecast.h"

#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/model/architecture.h"
#include "core/terminal.h"
#include "core/text/text_model.h"
#include "trainer/batches.h"
#include "trainer/memory_forecast.h"
#include "trainer/nn/lora.h"
#include "trainer/seeds.h"

namespace mayfly {

namespace {

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

// Among the settings that give the same result, or nearly. `longest`: tokens of the longest
// sequence that a batch is made of.
std::string saves_most(const RunPlan& plan, const Architecture& model, const MemoryForecast& peak,
                       const BatchSizes& sizes, std::int64_t longest, const ComputeDevice& device) {
  const TrainingShape& shape = peak.shape;
  std::vector<std::pair<std::string, TrainingShape>> changes;
  if (shape.checkpointing != Checkpointing::blocks) {
    changes.emplace_back("train.gradient_checkpointing: true", shape);
    changes.back().second.checkpointing = Checkpointing::blocks;
  }
  if (sizes.per_device > 1) {
    changes.emplace_back("train.per_device_batch_size: 1 with gradient_accumulation: " +
                             std::to_string(sizes.effective),
                         shape);
    changes.back().second.tokens = longest;
  }
  if (!shape.quant.bits && !model.has_nf4_weights) {
    changes.emplace_back("quant.bits: 4", shape);
    changes.back().second.quant.bits = QuantBits::four;
  }
  std::int64_t most = 0;
  std::string text;
  for (const auto& [name, changed] : changes) {
    const std::int64_t saved =
        peak.memory.total() - memory_of(plan, model, changed, device).total();
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

  const MachineMemory machine = machine_memory(device);
  const BatchSizes sizes = config.train.auto_batch
                               ? auto_batch(plan, *model, *data, machine, device)
                               : batch_sizes(config.train);
  const Batches batches(static_cast<std::int64_t>(data->sequences.size()), sizes,
                        data_order_seed(static_cast<std::uint64_t>(plan.seed)),
                        config.data.shuffle);
  const MemoryForecast peak = memory_forecast(plan, *model, *data, sizes, device);
  return Forecast{.device = device.name,
                  .type = device.type == at::kBFloat16 ? "bfloat16" : "float32",
                  .data = data->train_counts,
                  .held_out = data->validation_counts.examples,
                  .steps = batches.total_steps(config.train),
                  .steps_per_epoch = batches.steps_per_epoch(),
                  .per_device_batch_size = sizes.per_device,
                  .processes = device.device.is_cpu() ? config.train.devices : 1,
                  .largest_batch = peak.largest_batch,
                  .program_bytes = machine.program,
                  .memory = peak.memory,
                  .there_bytes = machine.there,
                  .saves_most = saves_most(plan, *model, peak, sizes,
                                           data->train_counts.longest_sequence, device),
                  .warnings = data->warnings};
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
      {"largest batch", number(forecast.largest_batch) + " tokens; " +
                            number(forecast.per_device_batch_size) + " sequences at once"},
      {"memory",
       gigabytes(forecast.peak_bytes()) + " at most" +
           (forecast.processes > 1 ? ", in each of " + number(forecast.processes) + " processes"
                                   : "")},
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
                                {"per_device_batch_size", forecast.per_device_batch_size},
                                {"processes", forecast.processes},
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
