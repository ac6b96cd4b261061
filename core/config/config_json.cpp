#include "core/config/config_json.h"

#include <set>

#include <nlohmann/json.hpp>

#include "core/config/value.h"
#include "core/config/visit.h"

namespace mayfly {

namespace {

using Json = nlohmann::json;

Json to_json(const ConfigNode& node) {
  Json out;
  switch (node.kind) {
    case ConfigNode::Kind::null:
      return nullptr;
    case ConfigNode::Kind::scalar:
      // A bare scalar was written by value.h: a number, true or false.
      return node.style == ConfigNode::Style::bare ? Json::parse(node.text) : Json(node.text);
    case ConfigNode::Kind::list:
      out = Json::array();
      for (const ConfigNode& item : node.items) out.push_back(to_json(item));
      return out;
    case ConfigNode::Kind::map:
      out = Json::object();
      for (const ConfigEntry& entry : node.entries) out[entry.key] = to_json(entry.value);
      return out;
  }
  return out;
}

ConfigNode from_json(const Json& json) {
  ConfigNode node;
  if (json.is_string()) {
    return scalar_node(json.get<std::string>(), ConfigNode::Style::text);
  }
  if (json.is_array()) {
    node.kind = ConfigNode::Kind::list;
    for (const Json& item : json) node.items.push_back(from_json(item));
  } else if (json.is_object()) {
    node.kind = ConfigNode::Kind::map;
    for (const auto& [key, value] : json.items()) {
      node.entries.push_back({key, {}, from_json(value)});
    }
  } else if (!json.is_null()) {
    return scalar_node(json.dump(), ConfigNode::Style::bare);
  }
  return node;
}

Error corrupt(const std::string& path, const std::string& why) {
  return {ErrorKind::corrupt, path + ": " + why};
}

// The value at the field, or null when there is none.
const Json* find_value(const Json& json, std::string_view section, std::string_view key) {
  const Json* place = &json;
  if (!section.empty()) {
    const auto found = json.find(section);
    if (found == json.end() || !found->is_object()) return nullptr;
    place = &*found;
  }
  const auto found = place->find(key);
  return found == place->end() ? nullptr : &*found;
}

// The first path in `json` that is no field, or "".
std::string stranger(const Json& json, const std::set<std::string>& paths) {
  for (const auto& [name, value] : json.items()) {
    if (paths.contains(name)) continue;
    const auto section = paths.lower_bound(name + ".");
    const bool is_section = section != paths.end() && section->starts_with(name + ".");
    if (!is_section || !value.is_object()) return name;
    for (const auto& [key, inner] : value.items()) {
      if (!paths.contains(name + "." + key)) return name + "." + key;
    }
  }
  return {};
}

}  // namespace

Json config_to_json(const RunConfig& config) {
  Json json = Json::object();
  for_each_field(
      [&](std::string_view section, std::string_view key, const FieldDoc&, const auto& get) {
        using T = std::remove_cvref_t<decltype(get(config))>;
        if constexpr (!std::is_same_v<T, Secret>) {
          Json& place = section.empty() ? json : json[std::string(section)];
          place[std::string(key)] = to_json(write_value(get(config)));
        }
      });
  return json;
}

Result<RunConfig> config_from_json(const Json& json) {
  if (!json.is_object()) return corrupt("config", "must be an object");
  RunConfig config;
  std::set<std::string> paths;
  std::optional<Error> problem;
  for_each_field(
      [&](std::string_view section, std::string_view key, const FieldDoc& doc, const auto& get) {
        using T = std::remove_cvref_t<decltype(get(config))>;
        const std::string path = field_path(section, key);
        if constexpr (!std::is_same_v<T, Secret>) {
          paths.insert(path);
          const Json* const value = find_value(json, section, key);
          if (value == nullptr || problem) return;
          Result<T> read = read_value<T>(from_json(*value), doc);
          if (read) {
            get(config) = std::move(*read);
          } else {
            problem = corrupt("config." + path, read.error().message);
          }
        }
      });
  if (problem) return *problem;
  if (const std::string path = stranger(json, paths); !path.empty()) {
    return corrupt("config." + path, "is no field of a configuration");
  }
  return config;
}

}  // namespace mayfly
