#include "core/config/schema.h"

#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "core/config/aliases.h"
#include "core/config/config_json.h"
#include "core/config/field_list.h"
#include "core/config/value.h"
#include "core/config/visit.h"

namespace mayfly {

namespace {

using Json = nlohmann::json;

// As an editor reads them: 4 and true are no texts there.
Json choices(const FieldInfo& field) {
  Json all = Json::array();
  for (const std::string& choice : field.choices) {
    const Json plain = Json::parse(choice, nullptr, /*allow_exceptions=*/false);
    all.push_back(plain.is_boolean() || plain.is_number() ? plain : Json(choice));
  }
  return all;
}

template <class T>
Json type_schema(const FieldInfo& field);
template <class T>
Json field_schema(const FieldInfo& field, const Json& standard);

// What an editor is told of a field of a structure.
template <class T>
FieldInfo part_info(std::string_view key, const FieldDoc& doc) {
  FieldInfo info;
  info.key = key;
  info.doc = doc.doc;
  info.unit = doc.unit;
  if (std::isfinite(doc.at_least)) info.at_least = doc.at_least;
  if (std::isfinite(doc.at_most)) info.at_most = doc.at_most;
  if constexpr (detail::IsOptional<T>) {
    info.choices = part_info<typename detail::OptionalOf<T>::type>(key, doc).choices;
  } else if constexpr (NamedEnum<T>) {
    for (const auto& [value, name] : EnumNames<T>::values) info.choices.emplace_back(name);
  }
  return info;
}

template <Config T>
Json struct_schema() {
  Json properties = Json::object();
  T::fields([&](std::string_view key, auto member, const FieldDoc& doc) {
    using Part = std::remove_cvref_t<decltype(std::declval<T&>().*member)>;
    properties[std::string(key)] = field_schema<Part>(part_info<Part>(key, doc), Json());
  });
  return {
      {"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
}

template <class T>
Json list_schema(const FieldInfo& field) {
  if constexpr (Config<T>) {
    return {{"type", "array"}, {"items", struct_schema<T>()}};
  } else {
    const Json item = type_schema<T>(field);
    return {{"anyOf", {{{"type", "array"}, {"items", item}}, {{"type", "string"}}, item}}};
  }
}

template <class T>
Json type_schema(const FieldInfo& field) {
  if constexpr (detail::IsOptional<T>) {
    return type_schema<typename detail::OptionalOf<T>::type>(field);
  } else if constexpr (detail::IsList<T>) {
    return list_schema<typename detail::ListOf<T>::type>(field);
  } else if constexpr (NamedEnum<T>) {
    return {{"enum", choices(field)}};
  } else if constexpr (std::is_same_v<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return {{"type", "integer"}};
  } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, Usd>) {
    return {{"type", "number"}};
  } else if constexpr (std::is_same_v<T, std::chrono::seconds>) {
    return {{"type", "string"}, {"pattern", "^[0-9]+[smhd]$"}};
  } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
    return {{"type", "object"}, {"additionalProperties", {{"type", {"string", "number"}}}}};
  } else {
    return {{"type", "string"}};
  }
}

// A variable may stand anywhere, and its value is not known to an editor.
Json or_variable(Json schema) {
  if (schema.value("type", "") == "string" && !schema.contains("pattern")) return schema;
  if (schema.contains("anyOf") || schema.value("type", "") == "object") return schema;
  return {{"anyOf", {std::move(schema), {{"type", "string"}, {"pattern", "\\$\\{"}}}}};
}

void add_range(Json& schema, const FieldInfo& field) {
  if (schema.value("type", "") != "integer" && schema.value("type", "") != "number") return;
  if (field.at_least) schema["minimum"] = *field.at_least;
  if (field.at_most) schema["maximum"] = *field.at_most;
}

template <class T>
Json field_schema(const FieldInfo& field, const Json& standard) {
  Json schema = type_schema<T>(field);
  add_range(schema, field);
  schema = or_variable(std::move(schema));
  // Null sets any field back to its default.
  schema = {{"anyOf", {std::move(schema), {{"type", "null"}}}}};
  schema["description"] = field.doc + (field.unit.empty() ? "" : " Unit: " + field.unit + ".");
  if (!standard.is_null()) schema["default"] = standard;
  return schema;
}

Json object_schema() {
  return {{"type", {"object", "null"}},
          {"properties", Json::object()},
          {"additionalProperties", false}};
}

void add_alias(Json& properties, std::string_view from, Json schema, const std::string& target) {
  const auto dot = from.find('.');
  if (dot == std::string_view::npos) {
    schema["description"] = "The same as " + target + ".";
    properties[std::string(from)] = std::move(schema);
    return;
  }
  const std::string section(from.substr(0, dot));
  if (!properties.contains(section)) {
    properties[section] = object_schema();
    properties[section]["description"] = "Other names of what is elsewhere.";
  }
  add_alias(properties[section]["properties"], from.substr(dot + 1), std::move(schema), target);
}

// The older names, each as a copy of what it stands for; not those of what is not built.
void add_aliases(Json& properties, const std::map<std::string, Json>& by_path) {
  for (const Alias& alias : aliases()) {
    const std::string target(alias.to);
    const std::string section = target.substr(0, target.find('.'));
    if (target.ends_with(".*")) {
      if (properties.contains(section)) {
        properties[std::string(alias.from.substr(0, alias.from.find('.')))] = properties[section];
      }
    } else if (const auto field = by_path.find(target); field != by_path.end()) {
      if (alias.from.find('.') == std::string_view::npos) {
        properties[std::string(alias.from)] = field->second;
      } else {
        add_alias(properties, alias.from, field->second, target);
      }
    } else if (target.starts_with("generate.vars.")) {
      add_alias(properties, alias.from, {{"type", {"string", "number", "null"}}}, target);
    }
  }
}

}  // namespace

Json config_schema() {
  Json properties = Json::object();
  for (const SectionInfo& section : all_sections()) {
    properties[section.name] = object_schema();
    properties[section.name]["description"] = section.doc;
  }
  const Json defaults = config_to_json(RunConfig{});
  const std::vector<FieldInfo> fields = all_fields();
  std::map<std::string, Json> by_path;
  std::size_t next = 0;
  for_each_field([&](std::string_view, std::string_view, const FieldDoc&, const auto& get) {
    using T = std::remove_cvref_t<decltype(get(std::declval<RunConfig&>()))>;
    const FieldInfo& field = fields[next++];
    const Json& place = field.section.empty() ? defaults : defaults[field.section];
    const Json schema = field_schema<T>(field, place.value(field.key, Json()));
    Json& home = field.section.empty() ? properties : properties[field.section]["properties"];
    home[field.key] = schema;
    by_path[field.path] = schema;
    for (const std::string& alias : field.aliases) {
      home[alias] = schema;
      home[alias]["description"] = "The same as " + field.path + ".";
    }
  });
  add_aliases(properties, by_path);
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "mayfly run file"},
          {"type", "object"},
          {"properties", std::move(properties)},
          {"additionalProperties", false}};
}

}  // namespace mayfly
