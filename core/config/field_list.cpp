#include "core/config/field_list.h"

#include <algorithm>
#include <cmath>

#include "core/config/value.h"
#include "core/config/visit.h"
#include "core/config/yaml.h"

namespace mayfly {

namespace {

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return parts;
}

template <class T>
void describe_type(FieldInfo& info) {
  if constexpr (detail::IsOptional<T>) {
    info.is_optional = true;
    describe_type<typename detail::OptionalOf<T>::type>(info);
  } else if constexpr (detail::IsList<T>) {
    info.is_list = true;
  } else if constexpr (NamedEnum<T>) {
    for (const auto& [value, name] : EnumNames<T>::values) info.choices.emplace_back(name);
    // A switch with more places than two: its flag alone says true.
    info.is_switch =
        std::find(info.choices.begin(), info.choices.end(), "true") != info.choices.end();
  } else {
    info.is_switch = std::is_same_v<T, bool>;
    info.is_secret = std::is_same_v<T, Secret>;
    info.is_map = std::is_same_v<T, std::map<std::string, std::string>>;
  }
}

}  // namespace

std::vector<FieldInfo> all_fields() {
  std::vector<FieldInfo> fields;
  const RunConfig defaults;
  for_each_field(
      [&](std::string_view section, std::string_view key, const FieldDoc& doc, const auto& get) {
        using T = std::remove_cvref_t<decltype(get(defaults))>;
        FieldInfo info;
        info.path = field_path(section, key);
        info.section = section;
        info.key = key;
        info.doc = doc.doc;
        info.unit = doc.unit;
        info.flag = doc.flag;
        info.type = type_words<T>(doc);
        info.default_text = inline_yaml(write_value(get(defaults)));
        info.aliases = split(doc.alias);
        if (std::isfinite(doc.at_least)) info.at_least = doc.at_least;
        if (std::isfinite(doc.at_most)) info.at_most = doc.at_most;
        info.is_path = doc.is_path;
        describe_type<T>(info);
        fields.push_back(std::move(info));
      });
  return fields;
}

std::vector<SectionInfo> all_sections() {
  std::vector<SectionInfo> sections;
  RunConfig::fields([&](std::string_view name, auto member, const FieldDoc& doc) {
    using Member = std::remove_cvref_t<decltype(std::declval<RunConfig&>().*member)>;
    if constexpr (Config<Member>) sections.push_back({std::string(name), std::string(doc.doc)});
  });
  return sections;
}

const std::vector<EntryFlag>& entry_flags() {
  static const std::vector<EntryFlag> flags = {
      {"--animal", "generate.vars.animal",
       "The same as generate.vars.animal: a value for {animal}."}};
  return flags;
}

}  // namespace mayfly
