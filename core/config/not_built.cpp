#include "core/config/not_built.h"

#include <algorithm>
#include <array>

#include "core/config/yaml.h"

namespace mayfly {

namespace {

struct Row {
  std::string_view path;           // a key, or a section with all in it
  std::string_view reason = {};    // short; empty when the name says it all
  std::string_view harmless = {};  // values between '|' that ask for what happens anyway
};

constexpr std::string_view kRankVariables = "it is in the environment, as torchrun sets it";
constexpr std::string_view kNoVolume = "no volume is made; what is to stay goes to the hub";
constexpr std::string_view kNoHubData = "give files in data.path";

constexpr std::array kKeys = {
    Row{"run.tags"},
    Row{"run.notes"},
    Row{"phases", "only the phase sft is"},
    Row{"providers", "keys of clouds come from the environment, .env or ~/.aws"},
    Row{"instance.id", "a host that is not ours is never ended"},
    Row{"instance.volume_id", kNoVolume},
    Row{"instance.volume_gb", kNoVolume},
    Row{"instance.destroy_volume", kNoVolume, "false"},
    Row{"instance.image", "each cloud's own image with a GPU driver is booted"},
    Row{"ssh.known_hosts", "the host key is given to the machine, or pinned at the first contact",
        "pin"},
    Row{"code", "no repository is cloned; the programs bring all they need"},
    Row{"data.dataset_name", kNoHubData},
    Row{"data.subset", kNoHubData},
    Row{"data.split", kNoHubData},
    Row{"data.revision", kNoHubData},
    Row{"data.filter_langs"},
    Row{"data.max_workers", "rows are encoded on one thread", "1"},
    Row{"model.tag"},
    Row{"model.dtype", "train.bf16 says how is computed", "auto"},
    Row{"model.trust_remote_code", "there is no Python to run it; model families are built in",
        "false"},
    Row{"lora.enabled", "only adapters are trained, never all weights", "true"},
    Row{"lora.modules_to_save"},
    Row{"lora.bias", {}, "none"},
    Row{"lora.init", "lora.init_from starts from a given adapter", "default|true"},
    Row{"quant.compute_dtype", "train.bf16 says how is computed", "auto"},
    Row{"mid", "only the phase sft is"},
    Row{"train.fp16", "bf16 and float32 are", "false"},
    Row{"train.attention", {}, "auto"},
    Row{"train.zero_stage", "an adapter's optimizer is small, and each process has all of it", "0"},
    Row{"train.offload_optimizer", {}, "false"},
    Row{"train.master_addr", kRankVariables},
    Row{"train.master_port", kRankVariables},
    Row{"train.early_stop", "it is train.early_stop_patience and train.early_stop_min_delta"},
    Row{"train.deterministic", {}, "false"},
    Row{"rl", "only the phase sft is"},
    Row{"generate.model"},
    Row{"generate.endpoint"},
    Row{"generate.system_prompt"},
    Row{"generate.prompt_template"},
    Row{"generate.max_new_tokens"},
    Row{"generate.temperature"},
    Row{"generate.top_p"},
    Row{"generate.seed"},
    Row{"generate.filter"},
    Row{"generate.output"},
    Row{"generate.gpu_memory_utilization"},
    Row{"generate.resume"},
    Row{"eval", "train eval prints the loss of a file"},
    Row{"export"},
    Row{"serve"},
    Row{"hub.layout", "checkpoints are branches", "branches"},
    Row{"hub.checkpoint_every"},
    Row{"storage.laptop", "fetching results over SSH needs a rented machine"},
    Row{"tracking", "events.jsonl in the run directory has every step"},
    Row{"limits.idle"},
    Row{"limits.max_lost_minutes", "train.save_steps says how often is saved"},
    Row{"notify"},
    Row{"net.tls_verify", "it is always on", "true"},
    Row{"net"},
    Row{"paths.data_root"},
    // The default of the guides: nothing writes to another folder.
    Row{"paths.logs_dir", "a run's logs are in its run directory", "logs"},
    Row{"paths.prepared_dir", "data.save_splits writes into the run directory", "data/prepared"},
    Row{"paths.huggingface_cache"},
    Row{"paths.models_mount"},
    Row{"paths.run_metadata_file"},
    Row{"paths.instance_log"},
    Row{"logging.file_level"},
    Row{"logging.format", {}, "text"},
    Row{"logging.debug_pipeline", {}, "false"},
    Row{"agent.prometheus", "/metrics is always there, on 127.0.0.1 only", "true"},
    Row{"agent.build", "the agent beside `launch` is used", "auto"},
};

struct ValueRow {
  std::string_view path;
  std::string_view value;
};

constexpr std::array kValues = {
    ValueRow{"phase", "mid"},
    ValueRow{"phase", "rl"},
    ValueRow{"phase", "mid+sft"},
    ValueRow{"phase", "sft+rl"},
    ValueRow{"phase", "all"},
    ValueRow{"provider", "ssh"},
    ValueRow{"data.format", "preference"},
    ValueRow{"train.nan_policy", "rewind"},
    ValueRow{"train.optimizer", "adamw8bit"},
    ValueRow{"train.optimizer", "paged_adamw8bit"},
    ValueRow{"quant.bits", "8"},
    ValueRow{"quant.type", "fp4"},
    ValueRow{"quant.type", "int8"},
    ValueRow{"hub.optimizer_state", "latest"},
    ValueRow{"limits.on_complete", "stop"},
    ValueRow{"limits.on_failure", "stop"},
};

struct FlagRow {
  std::string_view flag;
  std::string_view path;
};

constexpr std::array kFlags = {
    FlagRow{"--instance-id", "instance.id"},
    FlagRow{"--dataset-name", "data.dataset_name"},
    FlagRow{"--filter-langs", "data.filter_langs"},
    FlagRow{"--max-workers", "data.max_workers"},
    FlagRow{"--fp16", "train.fp16"},
    FlagRow{"--insecure", "net.tls_verify"},
};

const Row* find_row(std::string_view path) {
  for (const Row& row : kKeys) {
    if (path == row.path) return &row;
  }
  for (const Row& row : kKeys) {
    if (path.starts_with(row.path) && path[row.path.size()] == '.') return &row;
  }
  return nullptr;
}

std::vector<std::string> parts(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto bar = text.find('|');
    words.emplace_back(text.substr(0, bar));
    text.remove_prefix(bar == std::string_view::npos ? text.size() : bar + 1);
  }
  return words;
}

}  // namespace

std::optional<std::string> not_built_key(std::string_view path) {
  const Row* const row = find_row(path);
  if (row == nullptr) return {};
  return std::string(row->reason);
}

bool asks_for_nothing(std::string_view path, const ConfigNode& value) {
  switch (value.kind) {
    case ConfigNode::Kind::null:
      return true;
    case ConfigNode::Kind::list:
      return value.items.empty();
    case ConfigNode::Kind::map:
      return std::all_of(value.entries.begin(), value.entries.end(), [&](const ConfigEntry& entry) {
        return asks_for_nothing(std::string(path) + "." + entry.key, entry.value);
      });
    case ConfigNode::Kind::scalar:
      break;
  }
  if (value.text.empty()) return true;
  const Row* const row = find_row(path);
  if (row == nullptr || row->path != path) return false;
  const std::vector<std::string> harmless = parts(row->harmless);
  return std::find(harmless.begin(), harmless.end(), value.text) != harmless.end();
}

bool value_not_built(std::string_view path, std::string_view value) {
  return std::any_of(kValues.begin(), kValues.end(),
                     [&](const ValueRow& row) { return row.path == path && row.value == value; });
}

std::optional<std::string> not_built_flag(std::string_view flag) {
  for (const FlagRow& row : kFlags) {
    if (row.flag == flag) return std::string(row.path);
  }
  return {};
}

std::vector<NotBuilt> not_built_keys() {
  std::vector<NotBuilt> keys;
  for (const Row& row : kKeys) {
    keys.push_back({std::string(row.path), std::string(row.reason), parts(row.harmless)});
  }
  return keys;
}

}  // namespace mayfly
