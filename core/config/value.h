// The types a field can have: how each is read from a node and written to one. There is one pair of
// functions for a type, so YAML, JSON, flags, environment and documentation cannot disagree.
//
//   bool                  true, false
//   std::int64_t          decimal digits; no leading zeros, which YAML 1.1 takes for octal
//   double                a finite decimal; where the unit is hours, minutes or seconds also 90m
//   std::string           any text
//   Usd                   decimal, up to six places
//   std::chrono::seconds  90s, 30m, 6h, 2d
//   Secret                any text; never written back, never in an error
//   enums                 one of EnumNames
//   std::optional<T>      null or a blank text: not set
//   std::vector<T>        a list, or one text with commas
//   std::map              texts by name: a map, or one text such as a=b,c=d
//   a config struct       a map with the keys that it describes
//
// Errors of reading: invalid_config; `at` has line and column of the part at fault, and no file.
// Of a part of a value the message begins with its name, "[1].weight must be"; problem_of() joins.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/field.h"
#include "core/config/node.h"
#include "core/result.h"
#include "core/secret.h"
#include "core/usd.h"

namespace mayfly {

// One line of text in words for a person: what may stand in a field of type T.
template <class T>
std::string type_words(const FieldDoc& doc);
template <class T>
Result<T> read_value(const ConfigNode& node, const FieldDoc& doc);
template <class T>
ConfigNode write_value(const T& value);

// "data.mix[1].weight must be ..." of "data.mix" and what read_value() said.
std::string problem_of(const std::string& path, const std::string& message);

// "90s", "30m", "6h", "2d": the largest unit that divides it.
std::string duration_text(std::chrono::seconds duration);

namespace detail {

template <class T>
struct OptionalOf;
template <class T>
struct OptionalOf<std::optional<T>> {
  using type = T;
};
template <class T>
struct ListOf;
template <class T>
struct ListOf<std::vector<T>> {
  using type = T;
};
template <class T>
concept IsOptional = requires {
  typename OptionalOf<T>::type;
};
template <class T>
concept IsList = requires {
  typename ListOf<T>::type;
};

Error value_error(const ConfigNode& node, std::string message);
// The same error, of a part: `name` is "[1]" or ".weight".
Error error_of_part(std::string name, Error error);
Error unknown_part(const ConfigEntry& entry, const std::vector<std::string>& known);
// The text of a scalar; an error for a list, a map or null. `wanted` says what would be right.
Result<std::string> scalar_text(const ConfigNode& node, const std::string& wanted);

Result<bool> read_bool(const ConfigNode& node);
Result<std::int64_t> read_integer(const ConfigNode& node, const FieldDoc& doc);
Result<double> read_number(const ConfigNode& node, const FieldDoc& doc);
Result<Usd> read_amount(const ConfigNode& node, const FieldDoc& doc);
Result<std::chrono::seconds> read_duration(const ConfigNode& node, const FieldDoc& doc);
// A list's items, or the parts of a text between commas.
Result<std::vector<ConfigNode>> list_items(const ConfigNode& node);
Result<std::map<std::string, std::string>> read_texts(const ConfigNode& node);
std::string shortest_number(double value);

template <NamedEnum T>
std::string enum_words() {
  std::string words;
  for (const auto& [value, name] : EnumNames<T>::values) {
    words += (words.empty() ? "" : ", ") + std::string(name);
  }
  return words;
}

template <NamedEnum T>
Result<T> read_enum(const ConfigNode& node) {
  const Result<std::string> text = scalar_text(node, "one of " + enum_words<T>());
  if (!text) return text.error();
  for (const auto& [value, name] : EnumNames<T>::values) {
    if (*text == name) return value;
  }
  return value_error(node, "\"" + *text + "\" is not one of " + enum_words<T>());
}

template <class T>
Result<std::vector<T>> read_list(const ConfigNode& node, const FieldDoc& doc) {
  const Result<std::vector<ConfigNode>> items = list_items(node);
  if (!items) return items.error();
  std::vector<T> values;
  for (const ConfigNode& item : *items) {
    Result<T> value = read_value<T>(item, doc);
    if (!value && !Config<T>) return value.error();
    if (!value) return error_of_part("[" + std::to_string(values.size()) + "]", value.error());
    values.push_back(std::move(*value));
  }
  return values;
}

template <Config T>
std::vector<std::string> keys_of() {
  std::vector<std::string> keys;
  T::fields([&](std::string_view key, auto, const FieldDoc&) { keys.emplace_back(key); });
  return keys;
}

template <Config T>
std::string key_words() {
  std::string words;
  for (const std::string& key : keys_of<T>()) words += (words.empty() ? "" : ", ") + key;
  return words;
}

template <Config T>
Result<T> read_struct(const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::map) {
    return value_error(node, "must be a map with keys of " + key_words<T>());
  }
  T value;
  for (const ConfigEntry& entry : node.entries) {
    bool is_known = false;
    std::optional<Error> problem;
    T::fields([&](std::string_view key, auto member, const FieldDoc& doc) {
      if (key != entry.key) return;
      is_known = true;
      if (entry.value.kind == ConfigNode::Kind::null) return;
      auto read = read_value<std::remove_cvref_t<decltype(value.*member)>>(entry.value, doc);
      if (read) {
        value.*member = std::move(*read);
      } else {
        problem = error_of_part("." + entry.key, std::move(read.error()));
      }
    });
    if (problem) return std::move(*problem);
    if (!is_known) return unknown_part(entry, keys_of<T>());
  }
  return value;
}

}  // namespace detail

template <class T>
Result<T> read_value(const ConfigNode& node, const FieldDoc& doc) {
  if constexpr (detail::IsOptional<T>) {
    const bool blank = node.kind == ConfigNode::Kind::scalar && node.text.empty();
    if (node.kind == ConfigNode::Kind::null || blank) return T{};
    auto value = read_value<typename detail::OptionalOf<T>::type>(node, doc);
    if (!value) return value.error();
    return T{std::move(*value)};
  } else if constexpr (detail::IsList<T>) {
    return detail::read_list<typename detail::ListOf<T>::type>(node, doc);
  } else if constexpr (Config<T>) {
    return detail::read_struct<T>(node);
  } else if constexpr (NamedEnum<T>) {
    return detail::read_enum<T>(node);
  } else if constexpr (std::is_same_v<T, bool>) {
    return detail::read_bool(node);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return detail::read_integer(node, doc);
  } else if constexpr (std::is_same_v<T, double>) {
    return detail::read_number(node, doc);
  } else if constexpr (std::is_same_v<T, Usd>) {
    return detail::read_amount(node, doc);
  } else if constexpr (std::is_same_v<T, std::chrono::seconds>) {
    return detail::read_duration(node, doc);
  } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
    return detail::read_texts(node);
  } else {
    Result<std::string> text = detail::scalar_text(node, "a text");
    if (!text) return text.error();
    return T(std::move(*text));
  }
}

template <class T>
ConfigNode write_value(const T& value) {
  using Style = ConfigNode::Style;
  if constexpr (detail::IsOptional<T>) {
    return value ? write_value(*value) : ConfigNode{};
  } else if constexpr (detail::IsList<T>) {
    ConfigNode list;
    list.kind = ConfigNode::Kind::list;
    for (const auto& item : value) list.items.push_back(write_value(item));
    return list;
  } else if constexpr (Config<T>) {
    ConfigNode map;
    map.kind = ConfigNode::Kind::map;
    T::fields([&](std::string_view key, auto member, const FieldDoc&) {
      map.entries.push_back({std::string(key), {}, write_value(value.*member)});
    });
    return map;
  } else if constexpr (NamedEnum<T>) {
    return scalar_node(std::string(enum_name(value)), Style::text);
  } else if constexpr (std::is_same_v<T, bool>) {
    return scalar_node(value ? "true" : "false", Style::bare);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return scalar_node(std::to_string(value), Style::bare);
  } else if constexpr (std::is_same_v<T, double>) {
    return scalar_node(detail::shortest_number(value), Style::bare);
  } else if constexpr (std::is_same_v<T, Usd>) {
    return scalar_node(usd_decimal(value), Style::amount);
  } else if constexpr (std::is_same_v<T, std::chrono::seconds>) {
    return scalar_node(duration_text(value), Style::text);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return scalar_node(value, Style::text);
  } else if constexpr (std::is_same_v<T, Secret>) {
    return ConfigNode{};
  } else {
    ConfigNode map;
    map.kind = ConfigNode::Kind::map;
    for (const auto& [name, text] : value) {
      map.entries.push_back({name, {}, scalar_node(text, Style::text)});
    }
    return map;
  }
}

template <class T>
std::string type_words(const FieldDoc& doc) {
  if constexpr (detail::IsOptional<T>) {
    return type_words<typename detail::OptionalOf<T>::type>(doc);
  } else if constexpr (detail::IsList<T>) {
    using Item = typename detail::ListOf<T>::type;
    if constexpr (Config<Item>) return "list of maps of " + detail::key_words<Item>();
    return "list of " + type_words<Item>(doc) + "s";
  } else if constexpr (Config<T>) {
    return "map of " + detail::key_words<T>();
  } else if constexpr (NamedEnum<T>) {
    return "one of " + detail::enum_words<T>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return "true or false";
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return "whole number";
  } else if constexpr (std::is_same_v<T, double>) {
    return "number";
  } else if constexpr (std::is_same_v<T, Usd>) {
    return "amount";
  } else if constexpr (std::is_same_v<T, std::chrono::seconds>) {
    return "duration";
  } else if constexpr (std::is_same_v<T, Secret>) {
    return "secret";
  } else if constexpr (std::is_same_v<T, std::string>) {
    return "text";
  } else {
    return "map of texts";
  }
}

}  // namespace mayfly
