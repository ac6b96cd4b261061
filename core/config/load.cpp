#include "core/config/load.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <tuple>

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/config/edit_distance.h"
#include "core/config/field_list.h"
#include "core/config/layers.h"
#include "core/config/not_built.h"
#include "core/config/value.h"
#include "core/config/visit.h"
#include "core/config/yaml.h"

namespace mayfly {

namespace {

std::string variable_or(const Environment& environment, const std::string& name,
                        const std::string& otherwise) {
  const auto found = environment.find(name);
  return found == environment.end() || found->second.empty() ? otherwise : found->second;
}

// The folder $XDG_CONFIG_HOME/mayfly, or "" when not even the home folder is known.
std::filesystem::path profile_folder(const Environment& environment) {
  const std::string home = variable_or(environment, "HOME", "");
  const std::string folder =
      variable_or(environment, "XDG_CONFIG_HOME", home.empty() ? "" : home + "/.config");
  return folder.empty() ? std::filesystem::path() : std::filesystem::path(folder) / "mayfly";
}

bool is_file(const std::filesystem::path& path) {
  std::error_code failure;
  return std::filesystem::is_regular_file(path, failure);
}

void add_dotenv(Environment& environment, const std::filesystem::path& folder, Layers& layers) {
  const std::filesystem::path path = folder / ".env";
  if (!is_file(path)) return;
  const std::string name = folder == "." ? ".env" : path.string();
  const Result<std::string> text = read_file(path);
  if (!text) return layers.add_problem(text.error());
  const Result<Environment> variables = parse_dotenv(*text, name);
  if (!variables) return layers.add_problem(variables.error());
  environment.insert(variables->begin(), variables->end());  // never over what is set
}

// Takes the sections of a fleet out of a file; they are problems where one run is wanted.
void part_with_fleet(ConfigNode& root, const Origin& origin, bool fleet_apart, Layers& layers) {
  std::erase_if(root.entries, [&](const ConfigEntry& entry) {
    if (entry.key != "fleet" && entry.key != "sweep") return false;
    const bool empty = entry.value.items.empty() && entry.value.entries.empty();
    if (!fleet_apart && !empty) {
      layers.add_problem(problem_at(placed(origin, entry.place),
                                    entry.key + " makes several runs, and this is for one",
                                    "`launch apply -c " + origin.at.file + "` makes them all"));
    }
    return true;
  });
}

void add_file(const std::filesystem::path& path, Origin::Layer layer, bool fleet_apart,
              Layers& layers) {
  const Result<std::string> text = read_file(path);
  if (!text) return layers.add_problem(text.error());
  YamlDocument document = parse_yaml(*text, path.string());
  for (const Error& problem : document.problems) layers.add_problem(problem);
  const Origin origin{.layer = layer, .at = {path.string()}};
  part_with_fleet(document.root, origin, fleet_apart, layers);
  layers.add_map(document.root, origin);
}

void add_well_known(const Environment& environment, Layers& layers) {
  for (const auto& [name, path] :
       {std::pair{"HF_TOKEN", "hub.token"}, std::pair{"HF_ENDPOINT", "hub.endpoint"}}) {
    const auto found = environment.find(name);
    if (found == environment.end() || found->second.empty()) continue;
    layers.add_value(path, scalar_node(found->second, ConfigNode::Style::text),
                     {.layer = Origin::Layer::well_known, .name = name});
  }
}

// Names that the programs give each other and that read like keys of the section `instance`.
constexpr std::array kOwnVariables = {"MAYFLY_INSTANCE_ID", "MAYFLY_INSTANCE_DIR"};

// "limits.spend_limit" for "MAYFLY_LIMITS_SPEND_LIMIT"; "" if the name is none of the schema's:
// other variables with this prefix belong to the programs themselves.
std::string path_of_variable(const std::string& name) {
  static constexpr std::string_view kPrefix = "MAYFLY_";
  if (!name.starts_with(kPrefix)) return {};
  if (std::find(kOwnVariables.begin(), kOwnVariables.end(), name) != kOwnVariables.end()) return {};
  std::string rest = name.substr(kPrefix.size());
  for (char& c : rest) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const SectionInfo& section : all_sections()) {
    if (rest.starts_with(section.name + "_")) {
      return section.name + "." + rest.substr(section.name.size() + 1);
    }
  }
  for (const FieldInfo& field : all_fields()) {
    if (field.section.empty() && field.path == rest) return rest;
  }
  return {};
}

void add_environment(const Environment& environment, Layers& layers) {
  for (const auto& [name, text] : environment) {
    const std::string path = path_of_variable(name);
    if (path.empty() || text.empty()) continue;
    const Origin origin{.layer = Origin::Layer::environment, .name = name};
    YamlDocument value = parse_inline_value(text);
    for (const Error& problem : value.problems) {
      layers.add_problem(problem_at(origin, problem.message, {}));
    }
    if (value.problems.empty()) layers.add_value(path, std::move(value.root), origin);
  }
}

void add_command_line(const std::vector<CommandLineValue>& values, Layers& layers) {
  for (const CommandLineValue& given : values) {
    const Origin origin{.layer = Origin::Layer::command_line, .name = given.spelling};
    const auto equals = given.text.find('=');
    if (given.path.empty() && (equals == std::string::npos || equals == 0)) {
      layers.add_problem(problem_at(origin, "\"" + given.text + "\" is not key=value",
                                    "for example --set train.epochs=3"));
      continue;
    }
    const std::string path = given.path.empty() ? given.text.substr(0, equals) : given.path;
    YamlDocument value =
        parse_inline_value(given.path.empty() ? given.text.substr(equals + 1) : given.text);
    for (const Error& problem : value.problems) {
      layers.add_problem(problem_at(origin, path + ": " + problem.message, {}));
    }
    if (value.problems.empty()) layers.add_value(path, std::move(value.root), origin);
  }
}

// Turns the layered values into a typed config.
class TypedReader {
 public:
  TypedReader(const Layers& layers, const Environment& environment)
      : layers_(layers), environment_(environment) {}

  // Fields whose value could not be read; they are at their defaults.
  std::set<std::string> failed;

  LoadedConfig read() {
    for_each_field(
        [&](std::string_view section, std::string_view key, const FieldDoc& doc, const auto& get) {
          using T = std::remove_cvref_t<decltype(get(loaded_.config))>;
          const std::string path = field_path(section, key);
          if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
            read_entries(path, get(loaded_.config));
          } else {
            read_field<T>(path, doc, get(loaded_.config));
          }
        });
    return std::move(loaded_);
  }

 private:
  template <class T>
  void read_field(const std::string& path, const FieldDoc& doc, T& target) {
    const auto found = layers_.values().find(path);
    if (found == layers_.values().end()) return;
    const auto& [value, origin] = found->second;
    loaded_.origins[path] = origin;
    if (value.kind == ConfigNode::Kind::null) return;
    std::optional<ConfigNode> node = expanded(path, value, origin);
    if (!node) return;
    expand_paths<T>(*node, doc);
    note_items<T>(path, *node, origin);
    Result<T> read = read_value<T>(*node, doc);
    if (read) {
      target = std::move(*read);
      return;
    }
    failed.insert(path);
    if (node->kind == ConfigNode::Kind::scalar && value_not_built(path, node->text)) {
      add(origin, path + " " + node->text + " is not built yet", "");
    } else {
      const Place place{read.error().at.line, read.error().at.column};
      add(placed(origin, place), problem_of(path, read.error().message), read.error().hint);
    }
  }

  void read_entries(const std::string& path, std::map<std::string, std::string>& target) {
    const std::string prefix = path + ".";
    for (auto entry = layers_.values().lower_bound(prefix);
         entry != layers_.values().end() && entry->first.starts_with(prefix); ++entry) {
      const auto& [value, origin] = entry->second;
      loaded_.origins[entry->first] = origin;
      if (value.kind == ConfigNode::Kind::null) continue;
      const std::optional<ConfigNode> node = expanded(entry->first, value, origin);
      if (!node) continue;
      Result<std::string> text = read_value<std::string>(*node, {});
      if (text) {
        target[entry->first.substr(prefix.size())] = std::move(*text);
      } else {
        add(origin, entry->first + " " + text.error().message, "");
      }
    }
  }

  // The node with ${NAME} replaced; nothing, and a problem, if that fails. The environment itself
  // is taken as it is.
  std::optional<ConfigNode> expanded(const std::string& path, const ConfigNode& node,
                                     const Origin& origin) {
    if (origin.layer == Origin::Layer::environment || origin.layer == Origin::Layer::well_known) {
      return node;
    }
    ConfigNode copy = node;
    if (node.kind == ConfigNode::Kind::scalar) {
      Result<std::string> text = expand_variables(node.text, environment_);
      if (!text) {
        failed.insert(path);
        add(placed(origin, node.place), path + ": " + text.error().message, text.error().hint);
        return {};
      }
      copy.text = std::move(*text);
    }
    for (ConfigNode& item : copy.items) {
      std::optional<ConfigNode> inner = expanded(path, item, origin);
      if (!inner) return {};
      item = std::move(*inner);
    }
    for (ConfigEntry& entry : copy.entries) {
      std::optional<ConfigNode> inner = expanded(path, entry.value, origin);
      if (!inner) return {};
      entry.value = std::move(*inner);
    }
    return copy;
  }

  // Home folders, in a list of structures where their fields are paths.
  template <class T>
  void expand_paths(ConfigNode& node, const FieldDoc& doc) const {
    if (doc.is_path) return expand_home(node);
    if constexpr (detail::IsList<T>) {
      using Item = typename detail::ListOf<T>::type;
      if constexpr (Config<Item>) {
        for (ConfigNode& item : node.items) expand_fields<Item>(item);
      }
    }
  }

  template <Config T>
  void expand_fields(ConfigNode& node) const {
    T::fields([&](std::string_view key, auto, const FieldDoc& doc) {
      for (ConfigEntry& entry : node.entries) {
        if (entry.key == key && doc.is_path) expand_home(entry.value);
      }
    });
  }

  // Where each structure of a list stands, for the rules about it: "data.mix[1]".
  template <class T>
  void note_items(const std::string& path, const ConfigNode& node, const Origin& origin) {
    if constexpr (detail::IsList<T>) {
      if constexpr (Config<typename detail::ListOf<T>::type>) {
        for (std::size_t i = 0; i < node.items.size(); ++i) {
          loaded_.origins[path + "[" + std::to_string(i) + "]"] =
              placed(origin, node.items[i].place);
        }
      }
    }
  }

  void expand_home(ConfigNode& node) const {
    const std::string home = variable_or(environment_, "HOME", "");
    if (node.kind == ConfigNode::Kind::scalar && node.text.starts_with("~/") && !home.empty()) {
      node.text = home + node.text.substr(1);
    }
    for (ConfigNode& item : node.items) expand_home(item);
  }

  void add(const Origin& origin, std::string message, std::string hint) {
    loaded_.problems.push_back(problem_at(origin, std::move(message), std::move(hint)));
  }

  const Layers& layers_;
  const Environment& environment_;
  LoadedConfig loaded_;
};

const Origin& origin_of(const LoadedConfig& loaded, const std::string& path) {
  static const Origin standard;
  const auto found = loaded.origins.find(path);
  return found == loaded.origins.end() ? standard : found->second;
}

// Puts generate.vars into the texts that may hold {name}.
void fill_vars(LoadedConfig& loaded) {
  RunConfig& config = loaded.config;
  const auto fill = [&](const std::string& path, std::string& text) {
    Result<std::string> filled = fill_names(text, config.generate.vars);
    if (filled) {
      text = std::move(*filled);
    } else {
      loaded.problems.push_back(problem_at(
          origin_of(loaded, path), path + ": " + filled.error().message, filled.error().hint));
    }
  };
  for_each_data_file(config.data, fill);
  if (config.data.val_path) fill("data.val_path", *config.data.val_path);
  if (config.hub.repo) fill("hub.repo", *config.hub.repo);
  if (config.hub.repo_prefix) fill("hub.repo_prefix", *config.hub.repo_prefix);
  if (config.run.name) fill("run.name", *config.run.name);
}

// The rules between fields, each with the places of the fields it names. A rule about a field that
// could not be read says nothing.
void add_rule_problems(LoadedConfig& loaded, const std::set<std::string>& failed,
                       bool must_be_complete) {
  for (const ConfigProblem& problem : problems(loaded.config)) {
    const bool about_failed =
        failed.contains(problem.path) ||
        std::any_of(problem.others.begin(), problem.others.end(),
                    [&](const std::string& other) { return failed.contains(other); });
    if (about_failed || (problem.is_missing && !must_be_complete)) continue;
    std::string message = problem.path + " " + problem.message;
    std::string places;
    for (const std::string& other : problem.others) {
      const Origin& origin = origin_of(loaded, other);
      if (origin.layer == Origin::Layer::standard) continue;
      places += (places.empty() ? "" : ", ") + other + " from " + origin_text(origin);
    }
    if (!places.empty()) message += " (" + places + ")";
    loaded.problems.push_back(
        problem_at(origin_of(loaded, problem.path), std::move(message), problem.hint));
  }
}

// Files in the order they first come up, in each from top to bottom.
void sort_by_place(std::vector<Error>& problems) {
  std::map<std::string, std::size_t> ranks;
  for (const Error& problem : problems) ranks.emplace(problem.at.file, ranks.size());
  std::stable_sort(problems.begin(), problems.end(), [&](const Error& a, const Error& b) {
    return std::tuple(ranks.at(a.at.file), a.at.line, a.at.column) <
           std::tuple(ranks.at(b.at.file), b.at.line, b.at.column);
  });
}

}  // namespace

ConfigInputs process_inputs() {
  return {.files = {}, .command_line = {}, .environment = current_environment()};
}

bool sets_field(const std::string& variable) {
  return !path_of_variable(variable).empty();
}

std::string origin_text(const Origin& origin) {
  std::string text;
  switch (origin.layer) {
    case Origin::Layer::standard:
      return "default";
    case Origin::Layer::well_known:
    case Origin::Layer::environment:
    case Origin::Layer::command_line:
      text = origin.name;
      break;
    case Origin::Layer::profile:
    case Origin::Layer::file:
      text = origin.at.file + ":" + std::to_string(origin.at.line) + ":" +
             std::to_string(origin.at.column);
      break;
  }
  return origin.written.empty() ? text : text + " as " + origin.written;
}

LoadedConfig load_config(const ConfigInputs& inputs) {
  Environment environment = inputs.environment;
  Layers layers(environment);
  add_dotenv(environment, inputs.working_directory, layers);
  add_well_known(environment, layers);
  const std::filesystem::path folder = profile_folder(environment);
  if (!folder.empty() && is_file(folder / "config.yaml")) {
    add_file(folder / "config.yaml", Origin::Layer::profile, false, layers);
  }
  for (const std::string& name : inputs.files) {
    const Result<std::filesystem::path> path = find_config_file(name, inputs);
    if (path) {
      add_file(*path, Origin::Layer::file, inputs.fleet_apart, layers);
    } else {
      layers.add_problem(path.error());
    }
  }
  add_environment(environment, layers);
  add_command_line(inputs.command_line, layers);

  TypedReader reader(layers, environment);
  LoadedConfig loaded = reader.read();
  fill_vars(loaded);
  // With a key that is not known, what seems missing may only be misspelt.
  add_rule_problems(loaded, reader.failed, inputs.must_be_complete && layers.problems().empty());
  loaded.problems.insert(loaded.problems.begin(), layers.problems().begin(),
                         layers.problems().end());
  sort_by_place(loaded.problems);
  return loaded;
}

std::map<std::string, std::filesystem::path> named_configs(const ConfigInputs& inputs) {
  std::map<std::string, std::filesystem::path> found;
  std::vector<std::filesystem::path> folders = {inputs.working_directory / "configs"};
  const std::filesystem::path profile = profile_folder(inputs.environment);
  if (!profile.empty()) folders.push_back(profile / "configs");
  for (const std::filesystem::path& folder : folders) {
    std::error_code failure;
    for (std::filesystem::directory_iterator it(folder, failure), end; !failure && it != end;
         it.increment(failure)) {
      const std::filesystem::path& path = it->path();
      if (path.extension() == ".yaml" && is_file(path)) found.emplace(path.stem().string(), path);
    }
  }
  return found;
}

Result<std::filesystem::path> find_config_file(const std::string& name,
                                               const ConfigInputs& inputs) {
  const std::filesystem::path given =
      name.starts_with("/") ? std::filesystem::path(name) : inputs.working_directory / name;
  if (is_file(given)) return given.lexically_normal();
  const auto named = named_configs(inputs);
  if (const auto found = named.find(name); found != named.end()) {
    return found->second.lexically_normal();
  }
  std::vector<std::string> names;
  for (const auto& [known, path] : named) names.push_back(known);
  const std::string near = nearest_word(name, names);
  return Error{ErrorKind::not_found,
               "there is no file " + name + ", and no configuration of that name",
               near.empty() ? "`launch config list` shows the names, `launch config init` a start"
                            : "did you mean " + near + "?"};
}

}  // namespace mayfly
