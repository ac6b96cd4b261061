// What the user wrote, typed and in range. Loaded by core/config/load.h; described, for help,
// schema and documentation, by core/config/describe.h.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config/agent_config.h"
#include "core/config/data_config.h"
#include "core/config/field.h"
#include "core/config/hub_config.h"
#include "core/config/instance_config.h"
#include "core/config/limits_config.h"
#include "core/config/lora_config.h"
#include "core/config/model_config.h"
#include "core/config/quant_config.h"
#include "core/config/run_section.h"
#include "core/config/ssh_config.h"
#include "core/config/storage_config.h"
#include "core/config/train_config.h"

namespace mayfly {

enum class Phase { sft };
template <>
struct EnumNames<Phase> {
  static constexpr std::array values = {std::pair{Phase::sft, std::string_view("sft")}};
};

enum class ProviderName { automatic, local, attached, shadeform, lambda, lium, aws };
template <>
struct EnumNames<ProviderName> {
  static constexpr std::array values = {
      std::pair{ProviderName::automatic, std::string_view("auto")},
      std::pair{ProviderName::local, std::string_view("local")},
      std::pair{ProviderName::attached, std::string_view("attached")},
      std::pair{ProviderName::shadeform, std::string_view("shadeform")},
      std::pair{ProviderName::lambda, std::string_view("lambda")},
      std::pair{ProviderName::lium, std::string_view("lium")},
      std::pair{ProviderName::aws, std::string_view("aws")}};
};

// Values for {name} in data.path, hub.repo and run.name, as the guides' templates use them.
struct GenerateConfig {
  std::optional<std::int64_t> count;
  std::map<std::string, std::string> vars;

  static constexpr void fields(auto&& field) {
    using Self = GenerateConfig;
    field("count", &Self::count,
          FieldDoc{.doc = "Samples the generate step is to make. That step is not built yet: the "
                          "file must be there, and the plan says so.",
                   .flag = "--data-count",
                   .at_least = 1});
    field("vars", &Self::vars,
          FieldDoc{.doc = "Values for {name} in data.path, hub.repo, hub.repo_prefix, run.name."});
  }
};
static_assert(field_count<GenerateConfig>() == member_count<GenerateConfig>());

struct PathsConfig {
  std::string outputs_dir = "outputs";

  static constexpr void fields(auto&& field) {
    using Self = PathsConfig;
    field("outputs_dir", &Self::outputs_dir,
          FieldDoc{.doc = "Folder of run directories: <outputs_dir>/<run>.", .is_path = true});
  }
};
static_assert(field_count<PathsConfig>() == member_count<PathsConfig>());

enum class LogLevelName { debug, info, warning, error };
template <>
struct EnumNames<LogLevelName> {
  static constexpr std::array values = {
      std::pair{LogLevelName::debug, std::string_view("DEBUG")},
      std::pair{LogLevelName::info, std::string_view("INFO")},
      std::pair{LogLevelName::warning, std::string_view("WARNING")},
      std::pair{LogLevelName::error, std::string_view("ERROR")}};
};

struct LoggingConfig {
  LogLevelName console_level = LogLevelName::info;
  double tqdm_refresh_rate = 1.0;

  static constexpr void fields(auto&& field) {
    using Self = LoggingConfig;
    field("console_level", &Self::console_level,
          FieldDoc{.doc = "What `train` logs; `launch` and `status` go by -v and -q."});
    field("tqdm_refresh_rate", &Self::tqdm_refresh_rate,
          FieldDoc{.doc = "Time between two drawings of the progress bar.",
                   .unit = "seconds",
                   .at_least = 0.05,
                   .at_most = 60});
  }
};
static_assert(field_count<LoggingConfig>() == member_count<LoggingConfig>());

struct RunConfig {
  std::int64_t version = 1;
  Phase phase = Phase::sft;
  ProviderName provider = ProviderName::automatic;
  RunSection run;
  ModelConfig model;
  DataConfig data;
  LoraConfig lora;
  QuantConfig quant;
  TrainConfig train;
  HubConfig hub;
  StorageConfig storage;
  InstanceConfig instance;
  SshConfig ssh;
  LimitsConfig limits;
  GenerateConfig generate;
  PathsConfig paths;
  LoggingConfig logging;
  AgentConfig agent;

  static constexpr void fields(auto&& field) {
    using Self = RunConfig;
    field("version", &Self::version,
          FieldDoc{.doc = "Version of this file's format.", .at_least = 1, .at_most = 1});
    field("phase", &Self::phase, FieldDoc{.doc = "What to train.", .flag = "--phase"});
    field("provider", &Self::provider,
          FieldDoc{.doc = "Who rents the machine; attached: nobody, it is instance.host; auto: the "
                          "one there are credentials for, else local, this machine.",
                   .flag = "--provider"});
    field("run", &Self::run, FieldDoc{.doc = "Name and seeds."});
    field("model", &Self::model, FieldDoc{.doc = "The base model."});
    field("data", &Self::data, FieldDoc{.doc = "The training data."});
    field("lora", &Self::lora, FieldDoc{.doc = "The adapter."});
    field("quant", &Self::quant, FieldDoc{.doc = "How the frozen weights are kept."});
    field("train", &Self::train, FieldDoc{.doc = "The training itself."});
    field("hub", &Self::hub, FieldDoc{.doc = "Where results are published."});
    field("storage", &Self::storage,
          FieldDoc{.doc = "Other places for the results, for when the hub fails."});
    field("instance", &Self::instance, FieldDoc{.doc = "The machine."});
    field("ssh", &Self::ssh, FieldDoc{.doc = "The way to the machine."});
    field("limits", &Self::limits, FieldDoc{.doc = "What ends a run."});
    field("generate", &Self::generate, FieldDoc{.doc = "Values for names in paths."});
    field("paths", &Self::paths, FieldDoc{.doc = "Where files go."});
    field("logging", &Self::logging, FieldDoc{.doc = "What is shown."});
    field("agent", &Self::agent, FieldDoc{.doc = "The agent on the machine."});
  }
};
static_assert(field_count<RunConfig>() == member_count<RunConfig>());

// The batch sizes after derivation: effective = per_device x accumulation x processes. Of a config
// that breaks a rule below: the nearest that makes sense, never less than 1.
struct BatchSizes {
  std::int64_t per_device = 1;
  std::int64_t accumulation = 1;
  std::int64_t effective = 1;  // sequences of a step, over all processes
};
BatchSizes batch_sizes(const TrainConfig& train);
// Processes that train together, on all machines.
std::int64_t rank_count(const TrainConfig& train);

// Of sgd and muon: train.momentum, or what is usual for them; 0 for AdamW, whose are train.adam_*.
double momentum(const TrainConfig& train);
// Numbers that the optimizer remembers of each one that it trains: AdamW's two moments, and so on.
std::int64_t optimizer_moments(const TrainConfig& train);

// Rules between fields that a valid config keeps, each broken one in words (path of the field
// first, so that the loader can add the line). Empty: none broken.
struct ConfigProblem {
  std::string path;  // "train.warmup_ratio"
  std::string message;
  std::vector<std::string> others = {};  // fields the rule is about, whose places are told as well
  std::string hint = {};
  bool is_missing = false;  // a value that every run needs is not there
};
std::vector<ConfigProblem> problems(const RunConfig& config);

}  // namespace mayfly
