#include "trainer/run_identity.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <system_error>
#include <vector>

#include "core/atomic_file.h"
#include "core/sha256.h"

namespace mayfly {

namespace {

// With every bit, and the same on every machine.
std::string exact(double value) {
  std::ostringstream text;
  text << std::hexfloat << value;
  return text.str();
}

std::string data_digest(const std::vector<Example>& examples) {
  Digest digest;
  for (const Example& example : examples) {
    const std::uint64_t size = example.ids.size();
    digest.update(&size, sizeof size);
    digest.update(example.ids.data(), example.ids.size() * sizeof(TokenId));
    digest.update(example.trained.data(), example.trained.size());
  }
  return digest.finish_hex();
}

// Checkpoints of before there were packs say nothing of them.
std::string batch_text(const RunConfig& config) {
  const BatchSizes batch = batch_sizes(config.train);
  const std::string at_once = config.train.auto_batch ? "auto" : std::to_string(batch.per_device);
  const std::int64_t times = config.train.auto_batch ? batch.effective : batch.accumulation;
  std::string text = at_once + " x " + std::to_string(times);
  const std::int64_t ranks = rank_count(config.train);
  if (ranks > 1) text += " x " + std::to_string(ranks) + " processes";
  if (config.data.pack_sequences) text += " packs of " + std::to_string(config.data.cutoff_len);
  return text;
}

std::string schedule_text(const TrainConfig& train) {
  std::string text(enum_name(train.lr_scheduler));
  text += " " + exact(train.learning_rate) + " " + exact(train.min_learning_rate);
  if (train.warmup_steps) text += " warm-up " + std::to_string(*train.warmup_steps);
  if (train.lr_scheduler == LrScheduler::wsd) text += " decay " + exact(train.decay_ratio);
  if (train.warmup_ratio) text += " warm-up " + exact(*train.warmup_ratio);
  return text;
}

std::string optimizer_text(const TrainConfig& train) {
  const std::string both = exact(train.weight_decay) + " " + exact(train.max_grad_norm);
  if (train.optimizer != OptimizerKind::adamw) {
    return std::string(enum_name(train.optimizer)) + " " + exact(momentum(train)) + " " + both;
  }
  return exact(train.adam_beta1) + " " + exact(train.adam_beta2) + " " + exact(train.adam_eps) +
         " " + both;
}

std::string adapter_text(const LoraShape& shape) {
  std::string text = "r " + std::to_string(shape.rank) + " scale " + exact(shape.scale()) +
                     " dropout " + exact(shape.dropout);
  for (const Projection target : shape.targets) text += " " + std::string(projection_name(target));
  return text;
}

}  // namespace

std::map<std::string, std::string> run_identity(const RunPlan& plan, const Dataset& data,
                                                const LoraShape& adapter, const std::string& type,
                                                std::int64_t total_steps) {
  const TrainConfig& train = plan.config.train;
  return {{"data", data_digest(data.train)},
          {"seed", std::to_string(plan.seed)},
          {"data.shuffle", plan.config.data.shuffle ? "true" : "false"},
          {"batch size", batch_text(plan.config)},
          {"steps", std::to_string(total_steps)},
          {"learning rate", schedule_text(train)},
          {"optimizer", optimizer_text(train)},
          {"adapter", adapter_text(adapter)},
          {"type of computing", type}};
}

Result<std::string> model_digest(const std::filesystem::path& model_dir) {
  const Result<std::string> config = read_file(model_dir / "config.json");
  if (!config) return config.error();
  std::set<std::string> files;  // sorted: a folder is listed in any order
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(model_dir, code)) {
    if (entry.path().extension() != ".safetensors") continue;
    files.insert(entry.path().filename().string() + " " + std::to_string(entry.file_size()));
  }
  Digest digest;
  digest.update(*config);
  for (const std::string& file : files) digest.update(file + "\n");
  return digest.finish_hex();
}

Status check_identity(const std::map<std::string, std::string>& saved,
                      const std::map<std::string, std::string>& ours,
                      const std::string& checkpoint) {
  std::string differences;
  for (const auto& [name, value] : ours) {
    const auto found = saved.find(name);
    if (found != saved.end() && found->second == value) continue;
    differences += (differences.empty() ? "" : ", ") + name;
  }
  if (differences.empty()) return Unit{};
  return Error{ErrorKind::invalid_config,
               checkpoint + " was made by another run: " + differences + " differ",
               "undo the change, or start a new run under another name (run.name)"};
}

}  // namespace mayfly
