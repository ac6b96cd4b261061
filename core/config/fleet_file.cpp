#include "core/config/fleet_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>
#include <set>

#include "core/atomic_file.h"
#include "core/config/value.h"
#include "core/config/yaml.h"

namespace mayfly {

namespace {

using Settings = std::vector<CommandLineValue>;
using Pairs = std::vector<std::pair<std::string, std::string>>;  // path and text

struct ShortName {
  std::string_view name;
  std::string_view path;  // "" : not built
};

// Row P-27. The GRPO phase is not built; what these name is there in supervised training, too.
constexpr std::array kExperimentNames = {
    ShortName{"dataset", "generate.vars.dataset"},
    ShortName{"model_id", "model.base"},
    ShortName{"learning_rate", "train.learning_rate"},
    ShortName{"batch_size", "train.per_device_batch_size"},
    ShortName{"grad_accum_steps", "train.gradient_accumulation"},
    ShortName{"total_steps", "train.max_steps"},
    ShortName{"eval_every", "train.eval_steps"},
    ShortName{"gpu_devices", ""},
    ShortName{"train_gpu_device", ""},
    ShortName{"vllm_tensor_parallel", ""},
    ShortName{"custom_env", ""},
    ShortName{"custom_args", ""},
};

// Row P-19.
constexpr std::array kPodNames = {
    ShortName{"gpu_type", "instance.gpu"},
    ShortName{"gpu_count", "instance.num_gpus"},
    ShortName{"ttl_hours", "limits.ttl_hours"},
    ShortName{"provider", "provider"},
};

// What a scalar of the file is on a command line.
std::string setting_text(const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::scalar) return node.text;
  return node.kind == ConfigNode::Kind::null ? "null" : inline_yaml(node);
}

std::string with_number(std::string text, int number) {
  for (std::size_t at = text.find("{i}"); at != std::string::npos; at = text.find("{i}", at)) {
    text.replace(at, 3, std::to_string(number));
  }
  return text;
}

// Letters and digits as they are, anything else one '-': part of a run's name.
std::string name_part(const std::string& text) {
  std::string part;
  for (const char letter : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '.' ||
                       letter == '_' || letter == '+';
    if (plain && letter != '+') {
      part += letter;
    } else if (!part.empty() && part.back() != '-') {
      part += '-';
    }
  }
  while (part.ends_with('-')) part.pop_back();
  return part;
}

class FleetReader {
 public:
  explicit FleetReader(std::string file) : file_(std::move(file)) {}

  std::vector<Error> problems;

  void read_pods(const ConfigNode& section, FleetFile& fleet) {
    if (!is_map(section, "fleet")) return;
    for (const ConfigEntry& entry : section.entries) {
      if (entry.key != "pods") {
        fail(entry.place, "unknown key fleet." + entry.key, "fleet has pods");
      } else if (is_list(entry.value, "fleet.pods")) {
        for (const ConfigNode& pod : entry.value.items) read_pod(pod, fleet.pods);
      }
    }
    fleet.has_pods = !fleet.pods.empty();
  }

  void read_sweep(const ConfigNode& section, FleetFile& fleet) {
    if (!is_map(section, "sweep")) return;
    read_choice(section);
    for (const ConfigEntry& entry : section.entries) {
      if (entry.key == "matrix") {
        read_matrix(entry.value, fleet.experiments);
      } else if (entry.key == "experiments") {
        if (!is_list(entry.value, "sweep.experiments")) continue;
        for (const ConfigNode& item : entry.value.items) {
          read_experiment(item, fleet.experiments);
        }
      } else if (entry.key != "strategy" && entry.key != "seed") {
        fail(entry.place, "unknown key sweep." + entry.key,
             "sweep has matrix, experiments, strategy and seed");
      }
    }
  }

 private:
  struct Axis {
    std::vector<Pairs> choices;
  };

  void fail(Place place, std::string message, std::string hint) {
    problems.push_back({ErrorKind::invalid_config,
                        std::move(message),
                        std::move(hint),
                        {file_, place.line, place.column}});
  }
  bool is_map(const ConfigNode& node, const std::string& name) {
    if (node.kind == ConfigNode::Kind::map) return true;
    if (node.kind != ConfigNode::Kind::null) {
      fail(node.place, name + " is a section: keys and values belong in it", "");
    }
    return false;
  }
  bool is_list(const ConfigNode& node, const std::string& name) {
    if (node.kind == ConfigNode::Kind::list) return true;
    fail(node.place, name + " is a list", "");
    return false;
  }

  // Which of the matrix are taken: strategy and seed, wherever they stand.
  void read_choice(const ConfigNode& section) {
    draw_.reset();
    seed_ = kDefaultSeed;
    for (const ConfigEntry& entry : section.entries) {
      if (entry.key == "seed") {
        const auto read = read_value<std::int64_t>(entry.value, {.doc = {}, .at_least = 0});
        if (!read) fail(entry.value.place, "sweep.seed " + read.error().message, "");
        if (read) seed_ = static_cast<std::uint64_t>(*read);
      }
      if (entry.key != "strategy") continue;
      const std::string text = setting_text(entry.value);
      if (text == "grid" || text == "list") continue;
      constexpr std::string_view kRandom = "random(";
      std::size_t count = 0;
      const char* const end = text.data() + text.size();
      const bool random = text.starts_with(kRandom);
      const auto read = std::from_chars(text.data() + (random ? kRandom.size() : 0), end, count);
      if (!random || read.ec != std::errc() || std::string_view(read.ptr, end) != ")" ||
          count == 0) {
        fail(entry.value.place, "sweep.strategy " + text + " is none",
             "grid takes every combination of the matrix, random(20) twenty of them");
        continue;
      }
      draw_ = count;
    }
  }

  // So many of the combinations, each at most once, in the order of the matrix. The same ones at
  // every reading, on every machine: the sequence of this generator is fixed by the C++ standard.
  void draw(std::vector<Pairs>& all) const {
    if (!draw_ || *draw_ >= all.size()) return;
    std::mt19937_64 random(seed_);
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = 0; i < *draw_; ++i) {
      std::swap(order[i], order[i + random() % (order.size() - i)]);
    }
    order.resize(*draw_);
    std::sort(order.begin(), order.end());
    std::vector<Pairs> drawn;
    for (const std::size_t index : order) drawn.push_back(std::move(all[index]));
    all = std::move(drawn);
  }

  // The path that a short name means, or nothing with a problem noted.
  template <class Names>
  std::string path_of(const Names& names, const ConfigEntry& entry, const std::string& where) {
    for (const ShortName& known : names) {
      if (known.name != entry.key) continue;
      if (known.path.empty()) fail(entry.place, where + "." + entry.key + " is not built yet", "");
      return std::string(known.path);
    }
    return entry.key;
  }

  void read_pod(const ConfigNode& node, std::vector<FleetPod>& pods) {
    const std::string where = "fleet.pods[" + std::to_string(pods_seen_++) + "]";
    if (!is_map(node, where)) return;
    std::string name = "pod-" + std::to_string(pods_seen_);
    std::int64_t count = 1;
    Pairs settings = {{"instance.gpu", "A100"}, {"instance.num_gpus", "8"}};
    for (const ConfigEntry& entry : node.entries) {
      if (entry.key == "name") {
        name = entry.value.text;
      } else if (entry.key == "count") {
        const auto read =
            read_value<std::int64_t>(entry.value, {.doc = {}, .at_least = 1, .at_most = 100});
        if (!read) fail(entry.value.place, where + ".count " + read.error().message, "");
        count = read ? *read : 1;
      } else {
        std::string path = path_of(kPodNames, entry, where);
        if (path.find('.') == std::string::npos && path != "provider") path = "instance." + path;
        std::erase_if(settings, [&](const auto& pair) { return pair.first == path; });
        settings.emplace_back(path, setting_text(entry.value));
      }
    }
    if (count > 1 && name.find("{i}") == std::string::npos) name += "-{i}";
    for (int i = 1; i <= count; ++i) {
      FleetPod pod;
      pod.name = with_number(name, i);
      for (const auto& [path, text] : settings) {
        pod.settings.push_back({path, with_number(text, i), where + "." + path});
      }
      const bool taken = std::any_of(pods.begin(), pods.end(),
                                     [&](const FleetPod& other) { return other.name == pod.name; });
      if (taken) fail(node.place, "there are two pods named " + pod.name, "");
      pods.push_back(std::move(pod));
    }
  }

  // The settings below a key: of `train: {epochs: 2}` as of `train.epochs: 2`.
  void flatten(const std::string& path, const ConfigNode& node, Pairs& settings) {
    if (node.kind != ConfigNode::Kind::map) {
      settings.emplace_back(path, setting_text(node));
      return;
    }
    for (const ConfigEntry& entry : node.entries) {
      flatten(path + "." + entry.key, entry.value, settings);
    }
  }

  void read_experiment(const ConfigNode& node, std::vector<FleetExperiment>& experiments) {
    const std::string where = "sweep.experiments[" + std::to_string(experiments_seen_++) + "]";
    if (!is_map(node, where)) return;
    FleetExperiment experiment;
    experiment.name = "experiment-" + std::to_string(experiments_seen_);
    for (const ConfigEntry& entry : node.entries) {
      if (entry.key == "name") {
        experiment.name = name_part(entry.value.text);
      } else if (entry.key == "pod") {
        experiment.pod = entry.value.text;
      } else {
        Pairs settings;
        flatten(path_of(kExperimentNames, entry, where), entry.value, settings);
        for (auto& [path, text] : settings) {
          experiment.settings.push_back({path, std::move(text), where + "." + entry.key});
        }
      }
    }
    experiments.push_back(std::move(experiment));
  }

  std::vector<std::string> spread(const ConfigEntry& entry, bool logarithmic) {
    std::vector<double> numbers;
    for (const ConfigNode& item : entry.value.items) {
      const auto number = read_value<double>(item, {});
      if (number) numbers.push_back(*number);
    }
    constexpr double kMost = 100;
    const bool whole = numbers.size() == 3 && entry.value.items.size() == 3 && numbers[2] >= 2 &&
                       numbers[2] <= kMost && numbers[2] == std::floor(numbers[2]);
    if (!whole || (logarithmic && (numbers[0] <= 0 || numbers[1] <= 0))) {
      fail(entry.place, entry.key + " takes [from, to, count], count from 2 to 100",
           logarithmic ? "from and to above 0" : "");
      return {};
    }
    std::vector<std::string> texts;
    const int count = static_cast<int>(numbers[2]);
    for (int i = 0; i < count; ++i) {
      const double share = static_cast<double>(i) / (count - 1);
      const double value = logarithmic ? numbers[0] * std::pow(numbers[1] / numbers[0], share)
                                       : numbers[0] + share * (numbers[1] - numbers[0]);
      // Twelve digits: the ends come out as they were written, and no tail of rounding is named.
      std::array<char, 32> text{};
      const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                     std::chars_format::general, 12);
      texts.emplace_back(text.data(), end.ptr);
    }
    return texts;
  }

  std::vector<std::string> choices_of(const ConfigEntry& entry) {
    std::vector<std::string> texts;
    const ConfigNode& value = entry.value;
    if (value.kind == ConfigNode::Kind::list) {
      for (const ConfigNode& item : value.items) texts.push_back(setting_text(item));
    } else if (value.kind == ConfigNode::Kind::map && value.entries.size() == 1 &&
               (value.entries[0].key == "logspace" || value.entries[0].key == "linspace")) {
      return spread(value.entries[0], value.entries[0].key == "logspace");
    }
    if (texts.empty()) {
      fail(entry.place, "sweep.matrix." + entry.key + " names nothing to choose from",
           "a list, {linspace: [from, to, count]} or {logspace: [from, to, count]}");
    }
    return texts;
  }

  // One axis: a path with its values, or several paths whose values go together.
  Axis axis_of(const ConfigEntry& entry) {
    Axis axis;
    const bool together = entry.key == "zip" && entry.value.kind == ConfigNode::Kind::map;
    const std::vector<ConfigEntry> lists =
        together ? entry.value.entries : std::vector<ConfigEntry>{entry};
    for (const ConfigEntry& list : lists) {
      const std::string path = path_of(kExperimentNames, list, "sweep.matrix");
      const std::vector<std::string> texts = choices_of(list);
      if (&list != &lists.front() && texts.size() != axis.choices.size()) {
        fail(list.place, "the lists of sweep.matrix.zip are not of one length", "");
        return {};
      }
      axis.choices.resize(texts.size());
      for (std::size_t i = 0; i < texts.size(); ++i) axis.choices[i].emplace_back(path, texts[i]);
    }
    return axis;
  }

  void read_matrix(const ConfigNode& node, std::vector<FleetExperiment>& experiments) {
    if (!is_map(node, "sweep.matrix")) return;
    std::vector<Pairs> all = {{}};
    for (const ConfigEntry& entry : node.entries) {
      const Axis axis = axis_of(entry);
      if (all.size() * axis.choices.size() > kMostExperiments) {
        fail(entry.place,
             "sweep.matrix has more than " + std::to_string(kMostExperiments) + " combinations",
             "");
        return;
      }
      std::vector<Pairs> longer;
      for (const Pairs& before : all) {
        for (const Pairs& choice : axis.choices) {
          longer.push_back(before);
          longer.back().insert(longer.back().end(), choice.begin(), choice.end());
        }
      }
      all = std::move(longer);
    }
    draw(all);
    for (const Pairs& settings : all) {
      FleetExperiment experiment;
      for (const auto& [path, text] : settings) {
        const std::string key = path.substr(path.rfind('.') + 1);
        // Of a path or a hub id the last part says enough.
        const std::string value = name_part(text.substr(text.rfind('/') + 1));
        experiment.name += (experiment.name.empty() ? "" : "-") + name_part(key) + "-" + value;
        experiment.settings.push_back({path, text, "sweep.matrix." + path});
      }
      if (!experiment.name.empty()) experiments.push_back(std::move(experiment));
    }
  }

  std::string file_;
  int pods_seen_ = 0;
  int experiments_seen_ = 0;
  static constexpr std::uint64_t kDefaultSeed = 42;
  std::optional<std::size_t> draw_;  // none: every combination
  std::uint64_t seed_ = kDefaultSeed;
};

void check_names(FleetFile& fleet) {
  std::set<std::string> names;
  for (const FleetExperiment& experiment : fleet.experiments) {
    if (!names.insert(experiment.name).second) {
      fleet.problems.push_back({ErrorKind::invalid_config,
                                "there are two experiments named \"" + experiment.name + "\"",
                                "give them names"});
    }
    const bool known = experiment.pod.empty() ||
                       std::any_of(fleet.pods.begin(), fleet.pods.end(),
                                   [&](const FleetPod& pod) { return pod.name == experiment.pod; });
    if (!known) {
      fleet.problems.push_back({ErrorKind::invalid_config,
                                "experiment " + experiment.name + " is for pod " + experiment.pod +
                                    ", which there is not",
                                ""});
    }
  }
}

}  // namespace

FleetFile read_fleet(const ConfigInputs& inputs) {
  FleetFile fleet;
  for (const std::string& name : inputs.files) {
    const Result<std::filesystem::path> path = find_config_file(name, inputs);
    if (!path) {
      fleet.problems.push_back(path.error());
      continue;
    }
    fleet.name = name_part(path->stem().string());
    const Result<std::string> text = read_file(*path);
    if (!text) {
      fleet.problems.push_back(text.error());
      continue;
    }
    const YamlDocument document = parse_yaml(*text, path->string());
    FleetReader reader(path->string());
    for (const ConfigEntry& entry : document.root.entries) {
      if (entry.key == "fleet") {
        fleet.pods.clear();
        reader.read_pods(entry.value, fleet);
      } else if (entry.key == "sweep") {
        fleet.experiments.clear();
        reader.read_sweep(entry.value, fleet);
      }
    }
    fleet.problems.insert(fleet.problems.end(), reader.problems.begin(), reader.problems.end());
  }
  if (fleet.pods.empty()) fleet.pods.push_back({"pod", {}});
  if (fleet.experiments.empty()) fleet.experiments.push_back({"run", "", {}});
  check_names(fleet);
  return fleet;
}

}  // namespace mayfly
