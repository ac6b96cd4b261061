#include "trainer/model_card.h"

#include <algorithm>

#include "core/clock.h"
#include "core/number_text.h"

namespace mayfly {

namespace {

std::string loss_text(double loss) {
  return number("%.4f", loss);
}

std::string base_name(const std::string& path) {
  const auto slash = path.find_last_not_of('/');
  const std::string trimmed = path.substr(0, slash == std::string::npos ? 0 : slash + 1);
  return trimmed.substr(trimmed.rfind('/') + 1);
}

// Names come from users and files; in a table or between backticks only this much must be changed.
std::string plain(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '|' || c == '`') c = ' ';
  }
  return text;
}

std::string front_matter(const RunConfig& config) {
  std::string yaml = "---\n";
  const bool on_hub = is_hub_id(config.model.base);
  if (on_hub) {
    yaml += "base_model: \"" + config.model.base + "\"\n";
    yaml += "base_model_relation: adapter\n";
  }
  yaml += "library_name: peft\npipeline_tag: text-generation\ntags:\n";
  if (on_hub) yaml += "- \"base_model:adapter:" + config.model.base + "\"\n";
  return yaml + "- lora\n- sft\n- mayfly\n---\n";
}

std::string what(const RunPlan& plan) {
  const ModelConfig& model = plan.config.model;
  std::string base = "`" + plain(is_hub_id(model.base) ? model.base : base_name(model.base)) + "`";
  if (is_hub_id(model.base)) base += ", revision `" + plain(model.revision) + "`";
  return "\n# " + plain(plan.run_name) +
         "\n\nA LoRA adapter made by supervised fine-tuning. Base model: " + base + ".\n";
}

std::string mix_table(const std::vector<SourceCounts>& mix) {
  std::string text =
      "\n| part | weight | rows taken | rows there |\n| --- | ---: | ---: | ---: |\n";
  for (const SourceCounts& source : mix) {
    text += "| `" + plain(source.name) + "` | " + number("%.4g", source.share) + " | " +
            std::to_string(source.rows) + " | " + std::to_string(source.available) + " |\n";
  }
  return text;
}

std::string data_section(const RunPlan& plan, const ModelCardFacts& facts) {
  std::string text = "\n## Data\n\n| file | SHA-256 |\n| --- | --- |\n";
  for (const DataFileFact& file : facts.data) {
    text += "| `" + plain(file.name) + "` | `" + file.sha256 + "` |\n";
  }
  const DataConfig& data = plan.config.data;
  if (!facts.mix.empty()) text += mix_table(facts.mix);
  text += "\n" + std::to_string(facts.examples) + " examples. Trained on ";
  switch (data.train_on) {
    case TrainOn::assistant:
      text += "the assistant's turns with their end-of-turn token";
      break;
    case TrainOn::completion:
      text += "what follows the prompt";
      break;
    case TrainOn::last:
      text += "the assistant's last turn with its end-of-turn token";
      break;
    case TrainOn::all:
      text += "all tokens";
  }
  return text + ", " + std::to_string(facts.tokens_trained_on) +
         " tokens an epoch; examples are cut off at " + std::to_string(data.cutoff_len) +
         " tokens.\n";
}

std::string result_section(const RunPlan& plan, const TrainingState& state) {
  std::string text = "\n## Results\n\n";
  if (const auto before = loss_before(state)) {
    const EvaluatedEvent& first = state.evaluations.front();
    text += "Held-out loss (" + std::to_string(first.examples) + " examples, " +
            std::to_string(first.tokens) + " tokens): " + loss_text(*before) + " before training";
    if (const auto after = loss_after(state)) {
      text +=
          ", " + loss_text(*after) + " after step " + std::to_string(state.evaluations.back().step);
    }
    text += ".\n\n";
  }
  text += "| epoch | step | training loss | held-out loss | branch |\n";
  text += "| ---: | ---: | ---: | ---: | --- |\n";
  const HubConfig& hub = plan.config.hub;
  const std::int64_t every = hub.push_checkpoints ? hub.checkpoint_every_epochs : 0;
  for (const EpochSummary& epoch : state.epochs) {
    const bool pushed = every > 0 && epoch.epoch % every == 0;
    text += "| " + std::to_string(epoch.epoch) + " | " + std::to_string(epoch.step) + " | " +
            loss_text(epoch.loss) + " | " +
            (epoch.held_out_loss ? loss_text(*epoch.held_out_loss) : "-") + " | " +
            (pushed ? "`checkpoint-epoch-" + std::to_string(epoch.epoch) + "`" : "-") + " |\n";
  }
  return text + "\nThese are the losses up to step " + std::to_string(state.step) + " of " +
         std::to_string(state.total_steps) + ".\n";
}

std::string settings_section(const RunPlan& plan, const TrainingState& state,
                             const ModelCardFacts& facts) {
  const RunConfig& config = plan.config;
  const BatchSizes batch = batch_sizes(config.train);
  std::vector<std::pair<std::string, std::string>> rows = {
      {"rank", std::to_string(facts.adapter.rank)},
      {"alpha", number("%g", facts.adapter.alpha)},
      {"dropout", number("%g", facts.adapter.dropout)},
      {"learning rate", number("%g", config.train.learning_rate)},
      {"schedule", std::string(enum_name(config.train.lr_scheduler))},
      {"batch size",
       std::to_string(batch.effective) + " (" + std::to_string(state.per_device_batch_size) +
           " x " +
           std::to_string((batch.effective + state.per_device_batch_size - 1) /
                          state.per_device_batch_size) +
           ")" +
           (config.data.pack_sequences
                ? " packs of up to " + std::to_string(config.data.cutoff_len) + " tokens"
                : "")},
      {"optimizer", std::string(enum_name(config.train.optimizer))},
      {"weight decay", number("%g", config.train.weight_decay)},
      {"gradient norm clipped at", number("%g", config.train.max_grad_norm)},
      {"seed", std::to_string(plan.seed)},
      {"computed in", facts.type},
      {"device", facts.device}};
  std::string targets;
  for (const std::string& target : facts.adapter.targets) {
    targets += (targets.empty() ? "" : ", ") + target;
  }
  rows.insert(rows.begin() + 3, {"target modules", targets});
  std::string text = "\n## Settings\n\n| | |\n| --- | --- |\n";
  for (const auto& [name, value] : rows) text += "| " + name + " | " + plain(value) + " |\n";
  return text;
}

std::string loading_section(const RunPlan& plan) {
  const std::string& given = plan.config.model.base;
  const std::string base = is_hub_id(given) ? given : base_name(given);
  const std::string repo = plan.hub_repo.empty() ? "folder-of-this-adapter" : plan.hub_repo;
  std::string text = "\n## How to load it\n\n```python\n";
  text += "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n";
  text += "base = AutoModelForCausalLM.from_pretrained(\"" + plain(base) + "\")\n";
  text += "model = PeftModel.from_pretrained(base, \"" + plain(repo) + "\")\n```\n";
  text += "\nAn earlier state: `PeftModel.from_pretrained(base, \"" + plain(repo) +
          "\", revision=\"checkpoint-epoch-1\")`.\n"
          "`AutoModelForCausalLM.from_pretrained` with a `revision` would apply it to the base "
          "model as well, and fail.\n";
  return text;
}

}  // namespace

bool is_hub_id(const std::string& base) {
  const auto slash = base.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == base.size()) return false;
  if (base.find('/', slash + 1) != std::string::npos || base.front() == '.') return false;
  return std::all_of(base.begin(), base.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '-' || c == '_' || c == '.';
  });
}

std::string model_card(const RunPlan& plan, const TrainingState& state,
                       const ModelCardFacts& facts) {
  return front_matter(plan.config) + what(plan) + data_section(plan, facts) +
         result_section(plan, state) + settings_section(plan, state, facts) +
         loading_section(plan) + "\n## Made with\n\nmayfly " + facts.version + ", libtorch " +
         facts.torch_version + ", " +
         format_duration(std::chrono::seconds(static_cast<std::int64_t>(state.seconds))) +
         " of training.\n";
}

}  // namespace mayfly
