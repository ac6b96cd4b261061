#include "launcher/make_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "core/config/data_files.h"
#include "core/config/environment.h"
#include "core/model/safetensors.h"
#include "core/provider/registry.h"
#include "core/run/user_data.h"
#include "core/sha256.h"
#include "core/text/data_rows.h"
#include "launcher/bundle.h"
#include "launcher/handover.h"
#include "launcher/preflight.h"
#include "launcher/pricing.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

fs::path absolute(const fs::path& path, const fs::path& base) {
  return (path.is_absolute() ? path : base / path).lexically_normal();
}

// {name} in paths and names becomes its value; relative paths become absolute.
Status resolve_texts(RunConfig& config, const fs::path& base) {
  const auto& vars = config.generate.vars;
  const auto fill = [&vars](std::string& text, const std::string& path) -> Status {
    Result<std::string> filled = fill_names(text, vars);
    if (!filled) return while_doing(path, filled.error());
    text = std::move(*filled);
    return Unit{};
  };
  Status good = Unit{};
  for_each_data_file(config.data, [&](const std::string& key, std::string& path) {
    if (good) good = fill(path, key);
    path = absolute(path, base).string();
  });
  if (!good) return good;
  // By its file; a rented machine has it under another name.
  for (MixSource& source : config.data.mix) {
    if (!source.name) source.name = source_name(source);
  }
  for (auto [text, name] :
       {std::pair{&config.data.val_path, "data.val_path"}, std::pair{&config.hub.repo, "hub.repo"},
        std::pair{&config.hub.repo_prefix, "hub.repo_prefix"},
        std::pair{&config.run.name, "run.name"}}) {
    if (!*text) continue;
    if (const Status filled = fill(**text, name); !filled) return filled;
  }
  if (config.data.val_path) config.data.val_path = absolute(*config.data.val_path, base).string();
  if (is_template_file(config.data)) {
    config.data.chat_template = absolute(config.data.chat_template, base).string();
  }
  if (config.lora.init_from)
    config.lora.init_from = absolute(*config.lora.init_from, base).string();
  if (config.train.resume_from && *config.train.resume_from != "latest") {
    config.train.resume_from = absolute(*config.train.resume_from, base).string();
  }
  config.paths.outputs_dir = absolute(config.paths.outputs_dir, base).string();
  return Unit{};
}

Status weigh_model(const fs::path& folder, PlannedRun& planned) {
  const Result<SafetensorsModel> weights = SafetensorsModel::open(folder);
  if (!weights) return weights.error();
  for (const SafetensorsFile& file : weights->files()) {
    for (const StoredTensor& tensor : file.tensors()) {
      planned.model_bytes += static_cast<std::int64_t>(tensor.bytes.size());
    }
  }
  return Unit{};
}

Status resolve_model(const PlanInputs& inputs, RunConfig& config, PlannedRun& planned) {
  if (inputs.remote_model) {
    planned.model_folder = inputs.remote_model->folder;
    planned.model_bytes = inputs.remote_model->weight_bytes;
    config.model.revision = inputs.remote_model->commit;
  } else {
    planned.model_folder = absolute(config.model.base, inputs.working_directory);
    std::error_code code;
    if (!fs::is_directory(planned.model_folder, code)) {
      return Error{ErrorKind::not_found, "there is no model folder " + config.model.base,
                   "give a folder with config.json, tokenizer.json and safetensors, or a hub id "
                   "such as owner/name"};
    }
    config.model.base = planned.model_folder.string();
  }
  Result<Architecture> architecture = read_architecture(planned.model_folder);
  if (!architecture) return architecture.error();
  planned.architecture = std::move(*architecture);
  if (inputs.remote_model) return Unit{};
  return weigh_model(planned.model_folder, planned);
}

std::string process_variable_text(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What else must be there: an adapter to start from, a checkpoint to go on from.
Status check_folders(const RunConfig& config) {
  for (const auto& [path, name] : {std::pair{config.lora.init_from, "lora.init_from"},
                                   std::pair{config.train.resume_from, "train.resume_from"}}) {
    std::error_code code;
    if (!path || *path == "latest" || fs::is_directory(*path, code)) continue;
    return Error{ErrorKind::not_found, std::string(name) + ": there is no folder " + *path};
  }
  return Unit{};
}

Status check_machines(const TrainConfig& train) {
  if (train.nodes == 1) return Unit{};
  return Error{
      ErrorKind::invalid_config,
      "train.nodes is " + std::to_string(train.nodes) + ", and `launch` rents one machine",
      "train.devices trains on all of its GPUs; for more machines start `train sft` on each"};
}

Status find_programs(const PlanInputs& inputs, RunPlan& plan) {
  const fs::path& folder = inputs.programs;
  if (inputs.provider != "local") {
    Result<PlannedProgram> bundle = planned_bundle(plan.config.agent, folder, inputs.cache);
    if (!bundle) return bundle.error();
    plan.programs = {*std::move(bundle)};
    return Unit{};
  }
  for (const char* name : {"agent", "train"}) {
    const fs::path path = folder / name;
    Result<std::string> hash = sha256_file(path);
    if (!hash) {
      return Error{
          ErrorKind::not_found,
          "the program `" + std::string(name) + "` is not beside `launch` in " + folder.string(),
          "build it with ./dev build"};
    }
    plan.programs.push_back({name, "file://" + path.string(), std::move(*hash)});
  }
  return Unit{};
}

Status choose_place(const PlanInputs& inputs, RunPlan& plan) {
  const Result<std::string> name =
      planned_name(plan.config, inputs.known, plan.config.paths.outputs_dir, inputs.names);
  if (!name) return name.error();
  plan.run_name = *name;
  for (const KnownRun& run : inputs.known) {
    if (run.name == *name && may_be_billing(run)) {
      return Error{ErrorKind::guard, "a run named " + *name + " is still there",
                   "look with `status`, end it with `launch down " + *name +
                       "`, or give another --run-name"};
    }
  }
  const fs::path folder = fs::path(plan.config.paths.outputs_dir) / *name;
  std::error_code code;
  if (fs::exists(folder, code) && !fs::is_empty(folder, code)) {
    return Error{ErrorKind::guard, "the run directory " + folder.string() + " is there already",
                 "give another --run-name, or move that folder away"};
  }
  plan.run_dir = folder.string();
  return Unit{};
}

// Counts the data with the tokenizer that trains, in rows and tokens.
Status count_data(const RunConfig& config, WallTime now, PlannedRun& planned) {
  Result<TextModel> text = TextModel::load(planned.model_folder, now);
  if (!text) return text.error();
  if (Status chosen = text->choose_template(config.data, now); !chosen) return chosen;
  DataConfig counted = config.data;
  counted.save_splits = false;  // nobody writes them here
  Result<Dataset> data = load_dataset(counted, *text, {});
  if (!data) return data.error();
  planned.train = data->train_counts;
  planned.held_out = data->validation_counts;
  planned.mix = std::move(data->sources);
  for (std::string& warning : data->warnings) planned.notes.push_back(std::move(warning));
  if (planned.train.examples == 0) {
    return Error{ErrorKind::bad_data, "nothing is left to train on"};
  }
  return Unit{};
}

void list_branches(const RunConfig& config, PlannedRun& planned) {
  const std::int64_t every = config.hub.checkpoint_every_epochs;
  if (config.hub.push_checkpoints && every > 0) {
    for (std::int64_t epoch = every; epoch <= planned.steps.whole_epochs; epoch += every) {
      planned.branches.push_back("checkpoint-epoch-" + std::to_string(epoch));
    }
  }
  planned.branches.emplace_back("main");
}

void note_oddities(const RunConfig& config, PlannedRun& planned) {
  const auto share = [](std::int64_t part, std::int64_t whole) {
    std::array<char, 32> text{};
    std::snprintf(
        text.data(), text.size(), "%.0f%%",
        100.0 * static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, whole)));
    return std::string(text.data());
  };
  std::vector<std::string>& notes = planned.notes;
  if (planned.train.truncated > 0) {
    notes.push_back(std::to_string(planned.train.truncated) + " examples (" +
                    share(planned.train.truncated, planned.train.examples) +
                    ") are longer than data.cutoff_len " + std::to_string(config.data.cutoff_len) +
                    " and lose " + std::to_string(planned.train.tokens_cut) + " tokens");
  }
  if (planned.train.too_long > 0) {
    notes.push_back(std::to_string(planned.train.too_long) +
                    " rows are longer than data.cutoff_len " +
                    std::to_string(config.data.cutoff_len) + " and are left out");
  }
  if (planned.train.split > 0) {
    notes.push_back(std::to_string(planned.train.split) + " rows are longer than data.cutoff_len " +
                    std::to_string(config.data.cutoff_len) + " and become several examples each");
  }
  if (planned.train.duplicates > 0) {
    notes.push_back(std::to_string(planned.train.duplicates) + " repeated rows are left out");
  }
  constexpr std::int64_t kFew = 32;
  if (planned.train.examples < kFew) {
    notes.push_back("only " + std::to_string(planned.train.examples) +
                    " examples: enough to try things out, not to learn from");
  }
  if (planned.steps.steps < 10) {
    notes.push_back("only " + std::to_string(planned.steps.steps) + " steps in all");
  }
  if (config.generate.count) {
    notes.push_back(
        "generate.count is not used: the generate step is not built yet, the data "
        "files are taken as they are");
  }
}

Offer this_machine(const RunConfig& config) {
  Offer offer;
  offer.provider = "local";
  offer.instance_type = "this-machine";
  offer.region = "here";
  offer.price.per_hour = config.instance.price.value_or(Usd{});
  return offer;
}

}  // namespace

Result<std::string> planned_name(const RunConfig& config, const std::vector<KnownRun>& known,
                                 const fs::path& outputs, const RunNameOverrides& names) {
  std::vector<std::string> taken;
  for (const KnownRun& run : known) taken.push_back(run.name);
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(outputs, code)) {
    taken.push_back(entry.path().filename().string());
  }
  return choose_run_name(config, taken, names);
}

Result<PlannedRun> make_plan(const PlanInputs& inputs) {
  PlannedRun planned;
  RunPlan& plan = planned.plan;
  plan.run_id = inputs.run_id;
  plan.created_at = inputs.now;
  plan.config = inputs.config;
  RunConfig& config = plan.config;

  plan.seed = config.run.seeds.front();
  for (const auto& [name, text] : EnumNames<ProviderName>::values) {
    if (text == inputs.provider) config.provider = name;
  }
  if (const Status done = resolve_texts(config, inputs.working_directory); !done) {
    return done.error();
  }
  if (const Status done = resolve_model(inputs, config, planned); !done) return done.error();
  if (const Status done = check_machines(config.train); !done) return done.error();
  if (const Status done = check_folders(config); !done) return done.error();
  if (const Status done = choose_place(inputs, plan); !done) return done.error();
  if (const Status done = find_programs(inputs, plan); !done) return done.error();

  Result<HubChoice> hub = choose_hub(config.hub, plan.run_name, plan.seed);
  if (!hub) return hub.error();
  planned.hub = std::move(*hub);
  if (inputs.provider != "local") {
    const Status reachable = check_reachable_inputs(config, planned.hub.endpoint,
                                                    planned.hub.embedded, inputs.cloud_endpoint);
    // A plan may be looked at all the same; it is refused when it is to be started.
    if (!reachable) planned.not_startable = reachable.error();
  }
  plan.hub_endpoint = planned.hub.endpoint;
  plan.hub_repo = planned.hub.repo;
  config.hub.token = Secret();
  Result<FallbackChoice> fallbacks =
      choose_fallbacks(config, plan.run_name, plan.hub_repo, process_variable_text);
  if (!fallbacks) return fallbacks.error();
  planned.fallbacks = std::move(*fallbacks);
  planned.notes = planned.hub.notes;

  // Nothing is known of the data before it is read; from here on it can take a second.
  if (const Status done = count_data(config, inputs.now, planned); !done) return done.error();
  planned.steps = count_steps(planned.train.sequences, config.train);
  list_branches(config, planned);
  note_oddities(config, planned);
  if (inputs.provider != "local") return planned;
  if (const Status done = put_on(planned, this_machine(config), inputs.known); !done) {
    return done.error();
  }
  if (const Status done = check_disk(plan, planned.model_bytes); !done) return done.error();
  return planned;
}

std::string new_run_id() {
  std::random_device device;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%08x%04x", device(), device() & 0xffffU);
  return text.data();
}

std::chrono::seconds fuse_of(const RunPlan& plan) {
  constexpr double kLongest = 30.0 * 24 * 3600;
  const auto behind = static_cast<double>(BootTimes{}.behind.count());
  double seconds = kLongest;
  const LimitsConfig& limits = plan.config.limits;
  const double per_hour = static_cast<double>(plan.offer.price.per_hour.micros);
  if (per_hour > 0) {
    seconds = std::min(seconds, 3600.0 * static_cast<double>(limits.spend_limit.micros) / per_hour);
  }
  if (limits.ttl_hours) seconds = std::min(seconds, 3600.0 * *limits.ttl_hours);
  return std::chrono::seconds(static_cast<std::int64_t>(std::ceil(seconds + behind)));
}

}  // namespace mayfly
