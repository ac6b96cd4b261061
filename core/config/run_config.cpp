#include "core/config/run_config.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "core/config/data_files.h"

namespace mayfly {

namespace {

using Problems = std::vector<ConfigProblem>;

void check_required(const RunConfig& config, Problems& found) {
  if (config.model.base.empty()) {
    found.push_back({.path = "model.base",
                     .message = "is missing: which model is to be trained?",
                     .hint = "a folder with config.json and safetensors, or a hub id",
                     .is_missing = true});
  }
  if (!names_data(config.data)) {
    found.push_back({.path = "data.path",
                     .message = "is missing: what is it to be trained on?",
                     .others = {"data.mix"},
                     .hint = "a JSONL file with one {\"messages\": [...]} a line",
                     .is_missing = true});
  }
}

std::string text(std::int64_t number) {
  return std::to_string(number);
}

// Row C-02: of the three sizes any two may be given; three must agree.
void check_batch_sizes(const TrainConfig& train, Problems& found) {
  const bool tells_how = train.per_device_batch_size || train.gradient_accumulation;
  if (train.auto_batch && rank_count(train) > 1) {
    found.push_back(
        {.path = "train.auto_batch",
         .message = "is built for one process",
         .others = {"train.devices", "train.nodes"},
         .hint = "give train.per_device_batch_size; `train sft --dry-run` says what fits"});
    return;
  }
  if (train.auto_batch && (tells_how || !train.effective_batch_size)) {
    found.push_back({.path = "train.auto_batch",
                     .message = tells_how ? "chooses how many examples are computed at once, which "
                                            "is given as well"
                                          : "needs to know what stays the same",
                     .others = {"train.per_device_batch_size", "train.gradient_accumulation"},
                     .hint = "give train.effective_batch_size alone"});
    return;
  }
  if (!train.effective_batch_size) return;
  const std::int64_t effective = *train.effective_batch_size;
  const std::int64_t ranks = rank_count(train);
  const std::string processes = ranks > 1 ? " x " + text(ranks) + " processes" : "";
  const auto& per_device = train.per_device_batch_size;
  const auto& accumulation = train.gradient_accumulation;
  if (per_device && accumulation) {
    const std::int64_t product = *per_device * *accumulation * ranks;
    if (product == effective) return;
    found.push_back({.path = "train.effective_batch_size",
                     .message = text(effective) + " is not per_device_batch_size " +
                                text(*per_device) + " x gradient_accumulation " +
                                text(*accumulation) + processes + " = " + text(product),
                     .others = {"train.effective_batch_size", "train.per_device_batch_size",
                                "train.gradient_accumulation"},
                     .hint = "give two of the three; null unsets one"});
    return;
  }
  const std::int64_t given = per_device ? *per_device : accumulation ? *accumulation : 1;
  const std::int64_t step = given * ranks;
  if (effective % step == 0) return;
  std::string other = per_device     ? "per_device_batch_size " + text(given) + processes
                      : accumulation ? "gradient_accumulation " + text(given) + processes
                                     : text(ranks) + " processes";
  const std::int64_t below = effective / step * step;
  found.push_back(
      {.path = "train.effective_batch_size",
       .message = text(effective) + " is not a multiple of " + other,
       .others = {"train.effective_batch_size", per_device     ? "train.per_device_batch_size"
                                                : accumulation ? "train.gradient_accumulation"
                                                               : "train.devices"},
       .hint = "the nearest that are: " + (below > 0 ? text(below) + " and " : "") +
               text(below + step)});
}

void check_training(const RunConfig& config, Problems& found) {
  const TrainConfig& train = config.train;
  if (train.warmup_steps && train.warmup_ratio) {
    found.push_back({.path = "train.warmup_ratio",
                     .message = "and train.warmup_steps are both given",
                     .others = {"train.warmup_steps", "train.warmup_ratio"},
                     .hint = "give one of the two; null unsets one"});
  }
  if (train.warmup_steps && train.max_steps && *train.warmup_steps >= *train.max_steps) {
    found.push_back({.path = "train.warmup_steps",
                     .message = text(*train.warmup_steps) + " is not shorter than the run, " +
                                text(*train.max_steps) + " steps",
                     .others = {"train.max_steps"}});
  }
  if (train.momentum && train.optimizer == OptimizerKind::adamw) {
    found.push_back({.path = "train.momentum",
                     .message = "is of sgd and muon",
                     .others = {"train.optimizer"},
                     .hint = "AdamW's are train.adam_beta1 and train.adam_beta2"});
  }
  if (config.lora.use_dora && train.optimizer == OptimizerKind::muon) {
    found.push_back({.path = "train.optimizer",
                     .message = "muon makes updates of matrices, and lora.use_dora has vectors",
                     .others = {"lora.use_dora"},
                     .hint = "adamw and sgd take both"});
  }
  for (const auto& [moment, command] : train.hooks) {
    if (std::find(kHookMoments.begin(), kHookMoments.end(), moment) != kHookMoments.end()) continue;
    found.push_back({.path = "train.hooks." + moment,
                     .message = "\"" + moment + "\" is no moment of a run",
                     .hint = "known are on_step, on_checkpoint, on_epoch, on_end"});
  }
  const bool has_held_out = config.data.val_path || config.data.test_size > 0;
  if (train.early_stop_patience && !(train.eval_steps && has_held_out)) {
    found.push_back({.path = "train.early_stop_patience",
                     .message = "counts held-out losses, and none are taken while training",
                     .others = {"train.eval_steps", "data.val_path", "data.test_size"},
                     .hint = "set train.eval_steps, and data.val_path or data.test_size"});
  }
  if (train.min_learning_rate > train.learning_rate) {
    found.push_back({.path = "train.min_learning_rate",
                     .message = "is above train.learning_rate",
                     .others = {"train.learning_rate"}});
  }
  if (config.data.val_path && config.data.test_size > 0) {
    found.push_back({.path = "data.test_size",
                     .message = "and data.val_path both say what is held out",
                     .others = {"data.val_path", "data.test_size"},
                     .hint = "give one of the two"});
  }
}

bool is_row_key(const std::string& name) {
  return std::find(kRowKeys.begin(), kRowKeys.end(), name) != kRowKeys.end();
}

bool is_chat_role(const std::string& name) {
  return std::find(kChatRoles.begin(), kChatRoles.end(), name) != kChatRoles.end();
}

void check_data_names(const DataConfig& data, Problems& found) {
  constexpr const char* kFieldsHint =
      "our name first: {prompt: question}; docs/data.md has the names";
  constexpr const char* kRolesHint =
      "known are system, developer, user, assistant, tool: {bot: assistant}";
  const auto no_key = [](const std::string& name) { return "\"" + name + "\" is no key of a row"; };
  const auto no_role = [](const std::string& name) {
    return "\"" + name + "\" is no role of a chat";
  };
  for (const auto& [ours, theirs] : data.fields_named) {
    if (is_row_key(ours)) continue;
    found.push_back({.path = "data.fields." + ours, .message = no_key(ours), .hint = kFieldsHint});
  }
  for (const auto& [theirs, ours] : data.roles) {
    if (is_chat_role(ours)) continue;
    found.push_back({.path = "data.roles." + theirs, .message = no_role(ours), .hint = kRolesHint});
  }
  for (std::size_t i = 0; i < data.mix.size(); ++i) {
    const std::string path = "data.mix[" + std::to_string(i) + "]";
    for (const auto& [ours, theirs] : data.mix[i].fields_named) {
      if (is_row_key(ours)) continue;
      found.push_back({.path = path, .message = "fields: " + no_key(ours), .hint = kFieldsHint});
    }
    for (const auto& [theirs, ours] : data.mix[i].roles) {
      if (is_chat_role(ours)) continue;
      found.push_back({.path = path, .message = "roles: " + no_role(ours), .hint = kRolesHint});
    }
  }
}

void check_mix(const DataConfig& data, Problems& found) {
  if (!data.path.empty() && !data.mix.empty()) {
    found.push_back({.path = "data.mix",
                     .message = "and data.path both say what is trained on",
                     .others = {"data.path", "data.mix"},
                     .hint = "give one of the two; null unsets one"});
  }
  for (std::size_t i = 0; i < data.mix.size(); ++i) {
    if (!data.mix[i].path.empty()) continue;
    found.push_back({.path = "data.mix[" + std::to_string(i) + "]",
                     .message = "has no path, so there is nothing to take from it",
                     .hint = "{path: a.jsonl, weight: 0.7}"});
  }
}

void check_adapter(const LoraConfig& lora, Problems& found) {
  const auto& targets = lora.target_modules;
  if (targets.empty()) {
    found.push_back({.path = "lora.target_modules", .message = "names nothing to train"});
  }
  const bool all = std::find(targets.begin(), targets.end(), "all-linear") != targets.end();
  if (all && targets.size() > 1) {
    found.push_back({.path = "lora.target_modules",
                     .message = "has all-linear, which is every projection, beside others",
                     .hint = "give all-linear alone, or the names alone"});
  }
}

bool is_name_letter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

// A name that is safe as a folder, a branch and a repository: no way up, no hidden file, no option.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 96 &&
         std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
         std::all_of(name.begin(), name.end(), is_name_letter) &&
         name.find("..") == std::string_view::npos;
}

bool is_repository(std::string_view repo) {
  const auto slash = repo.find('/');
  return slash != std::string_view::npos && is_plain_name(repo.substr(0, slash)) &&
         is_plain_name(repo.substr(slash + 1));
}

void check_names(const RunConfig& config, Problems& found) {
  if (config.run.name && !is_plain_name(*config.run.name)) {
    found.push_back(
        {.path = "run.name",
         .message = "\"" + *config.run.name + "\" cannot name a folder and a repository",
         .hint = "letters, digits, '-', '_' and '.', a letter or digit first, at most "
                 "96"});
  }
  for (const auto& [path, repo] : {std::pair{"hub.repo", config.hub.repo},
                                   std::pair{"hub.repo_prefix", config.hub.repo_prefix}}) {
    if (!repo || is_repository(*repo)) continue;
    found.push_back({.path = path,
                     .message = "\"" + *repo + "\" is not a repository",
                     .hint = "owner/name, such as me/my-adapter"});
  }
  if (config.hub.repo && config.hub.repo_prefix) {
    found.push_back({.path = "hub.repo_prefix",
                     .message = "and hub.repo both name where to publish",
                     .others = {"hub.repo", "hub.repo_prefix"},
                     .hint = "give one of the two"});
  }
}

void check_seeds(const RunConfig& config, Problems& found) {
  const auto& seeds = config.run.seeds;
  if (seeds.empty()) {
    found.push_back({.path = "run.seeds", .message = "has no seed, so there is nothing to run"});
  }
  if (std::set<std::int64_t>(seeds.begin(), seeds.end()).size() < seeds.size()) {
    found.push_back({.path = "run.seeds", .message = "has a seed twice"});
  }
  if (seeds.size() > 1 && config.hub.repo) {
    found.push_back(
        {.path = "hub.repo",
         .message = "is one repository for " + text(std::int64_t(seeds.size())) + " seeds",
         .others = {"run.seeds"},
         .hint = "give hub.repo_prefix: each seed gets <prefix>-seed-<N>"});
  }
}

void check_host(const RunConfig& config, Problems& found) {
  const bool attached = config.provider == ProviderName::attached;
  if (attached && !config.instance.host) {
    found.push_back({.path = "instance.host",
                     .message = "is missing: which machine is the run to be attached to?",
                     .hint = "--host user@host, a machine that runs and that ssh reaches",
                     .is_missing = true});
  }
  if (!attached && config.instance.host && config.provider != ProviderName::automatic) {
    found.push_back({.path = "instance.host",
                     .message = "is a machine that runs already, and provider " +
                                std::string(enum_name(config.provider)) + " would make another",
                     .others = {"provider"},
                     .hint = "--provider attached"});
  }
  if (!attached && !config.instance.host && config.ssh.key) {
    found.push_back(
        {.path = "ssh.key",
         .message = "opens a machine that runs already; a rented one gets a key of its own",
         .hint = "leave it out, or give --host"});
  }
}

void check_limits(const LimitsConfig& limits, Problems& found) {
  const auto reserve = static_cast<double>(limits.reserve.count());
  if (limits.ttl_hours && *limits.ttl_hours * 3600 <= reserve) {
    found.push_back({.path = "limits.ttl_hours",
                     .message = "is not longer than limits.reserve, so nothing would be trained",
                     .others = {"limits.reserve"}});
  }
}

std::int64_t at_least_one(std::int64_t value) {
  return std::max<std::int64_t>(value, 1);
}

}  // namespace

std::int64_t rank_count(const TrainConfig& train) {
  return at_least_one(train.devices) * at_least_one(train.nodes);
}

BatchSizes batch_sizes(const TrainConfig& train) {
  BatchSizes sizes;
  const std::int64_t ranks = rank_count(train);
  const auto& effective = train.effective_batch_size;
  if (train.per_device_batch_size) {
    sizes.per_device = at_least_one(*train.per_device_batch_size);
  } else if (effective && train.gradient_accumulation) {
    sizes.per_device =
        at_least_one(*effective / (at_least_one(*train.gradient_accumulation) * ranks));
  }
  if (train.gradient_accumulation) {
    sizes.accumulation = at_least_one(*train.gradient_accumulation);
  } else if (effective) {
    sizes.accumulation = at_least_one(*effective / (sizes.per_device * ranks));
  }
  sizes.effective = sizes.per_device * sizes.accumulation * ranks;
  return sizes;
}

double momentum(const TrainConfig& train) {
  const double usual = train.optimizer == OptimizerKind::muon ? 0.95 : 0.0;
  return train.momentum.value_or(usual);
}

std::int64_t optimizer_moments(const TrainConfig& train) {
  switch (train.optimizer) {
    case OptimizerKind::adamw:
      return 2;
    case OptimizerKind::sgd:
      return momentum(train) > 0 ? 1 : 0;
    case OptimizerKind::muon:
      return 1;
  }
  return 0;
}

std::vector<ConfigProblem> problems(const RunConfig& config) {
  Problems found;
  check_required(config, found);
  check_batch_sizes(config.train, found);
  check_training(config, found);
  check_adapter(config.lora, found);
  check_data_names(config.data, found);
  check_mix(config.data, found);
  check_names(config, found);
  check_seeds(config, found);
  check_host(config, found);
  check_limits(config.limits, found);
  return found;
}

}  // namespace mayfly
