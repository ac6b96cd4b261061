#include "launcher/plan_text.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "core/config/data_files.h"
#include "core/config/run_config.h"
#include "core/provider/offer_choice.h"
#include "core/run/layer.h"
#include "core/run/rescue_budget.h"
#include "launcher/figures.h"
#include "launcher/make_plan.h"
#include "launcher/mix_text.h"
#include "launcher/preflight.h"

namespace mayfly {

namespace {

using nlohmann::json;

std::string minutes(double value) {
  return value <= 0 ? "off" : format_duration(std::chrono::seconds(std::llround(value * 60)));
}

std::string parameters(std::int64_t count) {
  if (count >= 1'000'000'000) return number("%.2f B", static_cast<double>(count) / 1e9);
  if (count < 1'000'000) return number("%.0f k", static_cast<double>(count) / 1e3);
  return number("%.1f M", static_cast<double>(count) / 1e6);
}

std::string model_line(const PlannedRun& planned) {
  const ModelConfig& model = planned.plan.config.model;
  const bool from_hub = !model.base.starts_with('/');
  return model.base + (from_hub ? " at commit " + model.revision.substr(0, 12) : "") + " (" +
         planned.architecture.model_type + ", " + parameters(planned.architecture.parameters()) +
         " parameters, " + format_bytes(planned.model_bytes) + ")";
}

std::string data_line(const PlannedRun& planned) {
  const DataCounts& train = planned.train;
  std::string text = grouped(train.examples) + " examples, " + grouped(train.tokens) +
                     " tokens, of which " + grouped(train.tokens_trained_on) +
                     " trained on; longest " + grouped(train.longest);
  if (planned.plan.config.data.pack_sequences) {
    text += "; packed into " + grouped(train.sequences) + " sequences";
  }
  if (planned.held_out.examples > 0) {
    text += "; held out " + grouped(planned.held_out.examples) + " examples";
  }
  return text;
}

std::string training_line(const PlannedRun& planned) {
  const RunConfig& config = planned.plan.config;
  const BatchSizes batch = batch_sizes(config.train);
  const double epochs =
      static_cast<double>(planned.steps.steps) / static_cast<double>(planned.steps.steps_per_epoch);
  const std::int64_t ranks = rank_count(config.train);
  std::string at_once =
      std::to_string(batch.per_device) + " x " + std::to_string(batch.accumulation);
  if (ranks > 1) at_once += " x " + std::to_string(ranks) + " processes";
  if (config.train.auto_batch) at_once = "as many at once as fit";
  const std::string unit = config.data.pack_sequences ? "pack" : "example";
  return "LoRA r " + std::to_string(config.lora.r) + ", " + grouped(planned.steps.steps) +
         " steps of " + std::to_string(batch.effective) + " " + unit +
         (batch.effective == 1 ? " (" : "s (") + at_once + "), " + number("%.3g", epochs) +
         (epochs == 1 ? " epoch" : " epochs") + ", learning rate " +
         number("%.3g", config.train.learning_rate) + " " +
         std::string(enum_name(config.train.lr_scheduler)) + ", seed " +
         std::to_string(planned.plan.seed);
}

std::string branches_line(const PlannedRun& planned) {
  constexpr std::size_t kShown = 6;
  const auto& branches = planned.branches;
  std::string text;
  for (std::size_t i = 0; i < branches.size(); ++i) {
    if (branches.size() > kShown && i == 2) {
      text += ", ... (" + std::to_string(branches.size()) + " branches)";
      i = branches.size() - 2;
    }
    text += (text.empty() ? "" : ", ") + branches[i];
  }
  return text;
}

std::string machine_line(const PlannedRun& planned) {
  const PlannedOffer& offer = planned.plan.offer;
  if (offer.provider == "attached") {
    return "attached: " + offer.region + ", " +
           (offer.gpu_count > 0 ? gpus_text(planned.offers.front()) : "no GPU") +
           ", which runs already; nothing is created but a folder there, ~/.mayfly/" +
           planned.plan.run_id;
  }
  std::string text = offer.provider + ", " + offer.instance_type;
  const bool here = offer.provider == "local";
  if (!here) {
    text += " in " + offer.region + ", " + gpus_text(planned.offers.front());
    if (planned.offers.front().spot) text += " spot";
  }
  if (offer.price.per_hour.micros == 0) return text + ", free";
  text += ", " + format_usd(offer.price.per_hour) + " per instance-hour";
  if (here) text += " (as given)";
  if (!here && planned.offers.front().disk_gb_month) {
    text += " with its disk of " + std::to_string(planned.offers.front().disk_gb) +
            " GB and its address";
  }
  if (offer.gpu_count > 1) {
    text +=
        " (" + format_usd(Usd{offer.price.per_hour.micros / offer.gpu_count}) + " per GPU-hour)";
  }
  return text + ", billed by " + format_duration(offer.price.billing_step);
}

// What takes its place when it is taken, and how many would do.
std::string others_line(const PlannedRun& planned) {
  std::string text = "the cheapest of " + std::to_string(planned.fitting.size()) + " that fit";
  if (planned.machine_named) text = "as named";
  if (planned.offers.size() > 1) {
    text += "; if it is taken, " + std::to_string(planned.offers.size() - 1) +
            " more are tried, up to ";
    Usd most;
    for (const Offer& offer : planned.offers) most = std::max(most, offer.price.per_hour);
    text += format_usd(most) + " per instance-hour";
  }
  return text;
}

// What the machine fetches before it can train.
std::string libraries_line(const std::vector<PlannedWheel>& runtime) {
  return format_bytes(download_bytes(runtime)) + " in " + std::to_string(runtime.size()) +
         " wheels of PyPI, " + format_bytes(unpacked_bytes(runtime)) +
         " on the machine's disk; fetched there, if its image has none";
}

std::string memory_line(const TrainingMemory& memory) {
  return format_gb(memory.total()) + " by arithmetic: weights " + format_gb(memory.weights) +
         ", adapter and optimizer " + format_gb(memory.adapter + memory.optimizer) +
         ", activations " + format_gb(memory.activations + memory.working) + ", reserve " +
         format_gb(memory.reserve);
}

std::string limits_line(const LimitsConfig& limits, const Price& price) {
  std::string text = "spend " + format_usd(limits.spend_limit) + " · ttl " +
                     (limits.ttl_hours ? minutes(*limits.ttl_hours * 60) : "off") + " · idle " +
                     minutes(limits.idle_minutes) + " · stall " + minutes(limits.stall_minutes);
  text += " · " + format_duration(limits.reserve) + " kept for saving and uploading";
  const Usd rescue = rescue_budget(limits, price);
  if (rescue.micros > 0) text += ", and " + format_usd(rescue) + " if that is not enough";
  return text;
}

std::string end_line(const LimitsConfig& limits, const std::string& provider) {
  if (provider == "attached") {
    return "the agent ends itself and removes that folder; the host goes on, ended by nobody here";
  }
  const auto words = [](AtEnd end) {
    return end == AtEnd::destroy ? std::string("destroyed")
                                 : std::string("KEPT, and goes on billing");
  };
  std::string text = "the agent on the machine ends it: when done " + words(limits.on_complete) +
                     ", when failed " + words(limits.on_failure);
  if (limits.failure_grace_minutes > 0) {
    text += " after " + minutes(limits.failure_grace_minutes);
  }
  return text;
}

}  // namespace

std::string plan_text(const PlannedRun& planned, const Terminal& terminal) {
  const RunPlan& plan = planned.plan;
  const RunConfig& config = plan.config;
  std::string text;
  const auto line = [&](std::string_view label, const std::string& content) {
    std::string padded(label);
    padded.resize(10, ' ');
    text += styled(terminal, Style::bold, padded) + content + "\n";
  };
  line("run", plan.run_name + " (" + plan.run_id + "), " + std::string(enum_name(config.phase)));
  line("model", model_line(planned));
  std::string files;
  for_each_data_file(config.data, [&](const std::string&, const std::string& path) {
    files += (files.empty() ? "" : ", ") + path;
  });
  line("data", files);
  line("", data_line(planned));
  for (const std::string& source : mix_lines(planned.mix)) line("", source);
  line("training", training_line(planned));
  line("machine", machine_line(planned));
  if (!planned.offers.empty() && plan.offer.provider != "attached") {
    line("", others_line(planned));
  }
  if (!plan.runtime.empty()) line("libraries", libraries_line(plan.runtime));
  line("memory", memory_line(planned.memory));
  std::string hub = plan.hub_repo + " at " + plan.hub_endpoint;
  if (planned.hub.embedded) hub += " (the local hub)";
  line("hub", hub);
  line("", branches_line(planned));
  for (const std::string& place : planned.fallbacks.places) line("fallback", place);
  line("files", plan.run_dir);
  const auto time = std::chrono::seconds(std::llround(plan.estimate.seconds));
  std::string cost = "about " + format_duration(time);
  if (plan.offer.price.per_hour.micros > 0) {
    cost += ", " + format_usd(plan.estimate.cost) + " of at most " +
            format_usd(config.limits.spend_limit);
  } else {
    cost += ", free";
  }
  line("estimate", styled(terminal, Style::bold, cost) + " (" + plan.estimate.basis + ")");
  line("limits", limits_line(config.limits, plan.offer.price));
  line("end", end_line(config.limits, plan.offer.provider));
  line("layers", layers_text(planned_layers(plan.offer.provider, fuse_of(plan))) +
                     "; the fuse ends it " + format_duration(fuse_of(plan)) +
                     " after its boot at the latest");
  for (const std::string& mistake : planned.mistakes) {
    line("mistake?", styled(terminal, Style::red, mistake));
  }
  if (planned.not_startable) {
    line("refused", styled(terminal, Style::red, planned.not_startable->message));
  }
  for (const std::string& note : planned.notes) {
    line("note", styled(terminal, Style::yellow, note));
  }
  return text;
}

json plan_document(const PlannedRun& planned) {
  const auto counts = [](const DataCounts& data) {
    return json{{"examples", data.examples},
                {"tokens", data.tokens},
                {"tokens_trained_on", data.tokens_trained_on},
                {"longest", data.longest},
                {"sequences", data.sequences},
                {"truncated", data.truncated},
                {"tokens_cut", data.tokens_cut},
                {"dropped", data.dropped},
                {"split", data.split},
                {"too_long", data.too_long},
                {"duplicates", data.duplicates}};
  };
  json layers = json::object();
  for (const Layer& layer : planned_layers(planned.plan.offer.provider, fuse_of(planned.plan))) {
    layers[layer.name] = {
        {"what", layer.what}, {"state", layer_state_name(layer.state)}, {"detail", layer.detail}};
  }
  return {{"schema", "mayfly.plan/1"},
          {"plan", plan_to_json(planned.plan)},
          {"plan_hash", plan_hash(planned.plan)},
          {"model",
           {{"family", planned.architecture.model_type},
            {"parameters", planned.architecture.parameters()},
            {"bytes", planned.model_bytes}}},
          {"data",
           {{"train", counts(planned.train)},
            {"held_out", counts(planned.held_out)},
            {"mix", mix_json(planned.mix)}}},
          {"memory",
           {{"weights", planned.memory.weights},
            {"adapter", planned.memory.adapter},
            {"optimizer", planned.memory.optimizer},
            {"activations", planned.memory.activations},
            {"working", planned.memory.working},
            {"reserve", planned.memory.reserve},
            {"total", planned.memory.total()}}},
          {"offers_that_fit", planned.fitting.size()},
          {"mistakes", planned.mistakes},
          {"steps_per_epoch", planned.steps.steps_per_epoch},
          {"layers", layers},
          {"embedded_hub", planned.hub.embedded},
          {"branches", planned.branches},
          {"fallbacks", planned.fallbacks.places},
          {"notes", planned.notes}};
}

}  // namespace mayfly
