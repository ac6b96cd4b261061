#include "core/config/layers.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/config/aliases.h"
#include "core/config/edit_distance.h"
#include "core/config/field_list.h"
#include "core/config/not_built.h"
#include "core/config/value.h"
#include "core/config/yaml.h"

namespace mayfly {

namespace {

// A path that the schema knows, as far as the layers need it.
struct KnownKeys {
  std::map<std::string, FieldInfo> fields;
  std::set<std::string> sections;  // with those of the guides: "experiment"
  std::vector<std::string> all;    // every path that may be written, older names too
};

KnownKeys make_known_keys() {
  KnownKeys known;
  for (const SectionInfo& section : all_sections()) known.sections.insert(section.name);
  for (FieldInfo& field : all_fields()) {
    known.all.push_back(field.path);
    for (const std::string& alias : field.aliases) known.all.push_back(field.section + "." + alias);
    known.fields.emplace(field.path, std::move(field));
  }
  for (const Alias& alias : aliases()) {
    const auto dot = alias.from.find('.');
    if (dot != std::string_view::npos) {
      known.sections.emplace(alias.from.substr(0, dot));
      known.sections.emplace(alias.from.substr(0, alias.from.rfind('.')));  // "storage.s3"
    }
    if (!alias.from.ends_with("*")) known.all.emplace_back(alias.from);
  }
  return known;
}

const KnownKeys& known_keys() {
  static const KnownKeys known = make_known_keys();
  return known;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

// What the user may have meant by an unknown path: the same key of another section, a similar one
// of the same section, a similar path; "" if there is none.
std::string suggestion(const std::string& path) {
  const std::string section = path.substr(0, path.find('.') + 1);
  std::vector<std::string> candidates;
  for (const std::string& candidate : known_keys().all) {
    if (candidate.starts_with(section) || section.empty()) candidates.push_back(candidate);
  }
  if (!section.empty()) {
    std::vector<std::string> keys;
    for (const std::string& candidate : candidates) keys.push_back(last_part(candidate));
    const std::string near = nearest_word(last_part(path), keys);
    if (!near.empty()) return section + near;
    for (const auto& [field, info] : known_keys().fields) {
      if (info.key == last_part(path)) return field;
    }
  } else {
    const auto& sections = known_keys().sections;
    candidates.insert(candidates.end(), sections.begin(), sections.end());
    for (const auto& [field, info] : known_keys().fields) {
      if (info.key == path) return field;
    }
  }
  return nearest_word(path, candidates);
}

// Whether `path` is an entry of a map field: "generate.vars.animal" of "generate.vars".
bool is_map_entry(const std::string& path) {
  const auto dot = path.rfind('.');
  if (dot == std::string::npos || dot + 1 == path.size()) return false;
  const auto field = known_keys().fields.find(path.substr(0, dot));
  return field != known_keys().fields.end() && field->second.is_map;
}

std::string problem_prefix(const Origin& origin) {
  const bool named = origin.layer == Origin::Layer::command_line ||
                     origin.layer == Origin::Layer::environment ||
                     origin.layer == Origin::Layer::well_known;
  return named ? origin.name + ": " : "";
}

// "train.batch_size", or "preprocess.seed (data.seed)" when the key has another name now.
std::string both_names(const std::string& written, const std::string& path) {
  return written == path ? path : written + " (" + path + ")";
}

}  // namespace

Error problem_at(const Origin& origin, std::string message, std::string hint) {
  const ErrorKind kind =
      origin.layer == Origin::Layer::command_line ? ErrorKind::usage : ErrorKind::invalid_config;
  return {kind, problem_prefix(origin) + std::move(message), std::move(hint), origin.at};
}

Origin placed(Origin origin, Place place) {
  if (place.line > 0 && !origin.at.file.empty()) {
    origin.at.line = place.line;
    origin.at.column = place.column;
  }
  return origin;
}

void Layers::add_map(const ConfigNode& root, const Origin& origin) {
  if (root.kind == ConfigNode::Kind::null) return;  // an empty file
  if (root.kind != ConfigNode::Kind::map) {
    add_problem(problem_at(placed(origin, root.place),
                           "a configuration is a map of sections, such as model: and data:", {}));
    return;
  }
  walk(root, "", origin);
}

void Layers::add_value(const std::string& path, ConfigNode value, const Origin& origin) {
  add_key({path, {}}, value, origin);
}

void Layers::walk(const ConfigNode& map, const std::string& prefix, const Origin& origin) {
  for (const ConfigEntry& entry : map.entries) {
    const Written written{prefix + entry.key, entry.place};
    if (entry.key.find('.') == std::string::npos) {
      add_key(written, entry.value, origin);
      continue;
    }
    add_problem(problem_at(placed(origin, entry.place), "unknown key " + written.path,
                           "keys with a dot are for --set; in a file, write sections"));
  }
}

void Layers::add_key(const Written& written, const ConfigNode& value, const Origin& origin) {
  const bool is_section = known_keys().sections.contains(written.path);
  if (is_section && value.kind == ConfigNode::Kind::map) {
    walk(value, written.path + ".", origin);
    return;
  }
  if (is_section && value.kind == ConfigNode::Kind::null) return;
  if (is_section) {
    add_problem(problem_at(placed(origin, value.place),
                           written.path + " is a section: keys and values belong in it", {}));
    return;
  }
  const std::string path = canonical_path(written.path);
  if (refuse_not_built(path, written, value, origin)) return;
  const auto field = known_keys().fields.find(path);
  if (field == known_keys().fields.end()) {
    if (is_map_entry(path)) {
      assign(path, written, value, origin);
    } else {
      refuse_unknown(written, origin);
    }
  } else if (field->second.is_map) {
    add_entries(path, written, value, origin);
  } else {
    assign(path, written, value, origin);
  }
}

void Layers::add_entries(const std::string& path, const Written& written, const ConfigNode& value,
                         const Origin& origin) {
  if (value.kind == ConfigNode::Kind::null) {
    std::erase_if(values_, [&](const auto& entry) { return entry.first.starts_with(path + "."); });
    return;
  }
  if (value.kind == ConfigNode::Kind::map) {
    for (const ConfigEntry& entry : value.entries) {
      assign(path + "." + entry.key, {written.path + "." + entry.key, entry.place}, entry.value,
             origin);
    }
    return;
  }
  const auto texts = detail::read_texts(value);
  if (!texts) {
    add_problem(problem_at(placed(origin, value.place), path + " " + texts.error().message, {}));
    return;
  }
  for (const auto& [name, text] : *texts) {
    ConfigNode entry = scalar_node(text, ConfigNode::Style::text);
    entry.place = value.place;
    assign(path + "." + name, {written.path + "." + name, written.place}, entry, origin);
  }
}

void Layers::assign(const std::string& path, const Written& written, const ConfigNode& value,
                    const Origin& origin) {
  Assignment assignment{value, placed(origin, value.place)};
  if (written.path != path) assignment.origin.written = written.path;
  if (value.kind == ConfigNode::Kind::scalar)
    assignment.origin.variable = sole_variable(value.text);
  const auto before = values_.find(path);
  const bool same_layer = before != values_.end() && before->second.origin.layer == origin.layer &&
                          before->second.origin.at.file == origin.at.file &&
                          origin.layer != Origin::Layer::command_line;
  // In one file both the old and the new name of a key: harmless if they agree. No value is shown,
  // for it may be a secret.
  if (same_layer && inline_yaml(before->second.value) != inline_yaml(value)) {
    const Origin& other = before->second.origin;
    const std::string other_name = other.written.empty() ? path : other.written;
    if (other_name != written.path) {
      std::string where = other.at.line > 0 ? " in line " + std::to_string(other.at.line) : "";
      add_problem(problem_at(
          placed(origin, written.place),
          written.path + " is the same setting as " + other_name + where + ", with another value",
          "keep one of the two"));
    }
  }
  values_.insert_or_assign(path, std::move(assignment));
}

bool Layers::refuse_not_built(const std::string& path, const Written& written,
                              const ConfigNode& value, const Origin& origin) {
  const std::optional<std::string> reason = not_built_key(path);
  if (!reason) return false;
  ConfigNode expanded = value;
  if (value.kind == ConfigNode::Kind::scalar) {
    if (auto text = expand_variables(value.text, environment_)) expanded.text = std::move(*text);
  }
  if (asks_for_nothing(path, expanded)) return true;
  if (value.kind == ConfigNode::Kind::map) {
    for (const ConfigEntry& entry : value.entries) {
      refuse_not_built(path + "." + entry.key, {written.path + "." + entry.key, entry.place},
                       entry.value, origin);
    }
    return true;
  }
  add_problem(problem_at(placed(origin, written.place),
                         both_names(written.path, path) + " is not built yet" +
                             (reason->empty() ? "" : ": " + *reason),
                         "leave it out"));
  return true;
}

void Layers::refuse_unknown(const Written& written, const Origin& origin) {
  const std::string near = suggestion(written.path);
  add_problem(problem_at(
      placed(origin, written.place), "unknown key " + written.path,
      near.empty() ? "`launch config schema` lists all keys" : "did you mean " + near + "?"));
}

}  // namespace mayfly
