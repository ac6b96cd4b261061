// Structs as JSON by their list of members: `fields(struct, visitor)` names each member once, and
// writing and reading are two visitors. Included by the few .cpp files that need it.
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "agent/limits.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/usd.h"

namespace mayfly {

// A struct that has a list of its members: an overload of fields() for T& and const T&.
template <class T>
concept Listed = requires(const T& value) {
  fields(value, [](const char*, const auto&) {});
};

struct FieldWriter {
  nlohmann::json out = nlohmann::json::object();

  template <class T>
  void operator()(const char* key, const T& value) {
    out[key] = to(value);
  }

  template <class T>
  static nlohmann::json to(const T& value) {
    if constexpr (Listed<T>) {
      FieldWriter inner;
      fields(value, inner);
      return std::move(inner.out);
    } else if constexpr (std::is_enum_v<T>) {
      return static_cast<int>(value);
    } else {
      return value;
    }
  }
  static nlohmann::json to(const std::chrono::milliseconds& value) {
    return value.count();
  }
  static nlohmann::json to(const std::chrono::seconds& value) {
    return value.count();
  }
  static nlohmann::json to(const WallTime& value) {
    return format_utc(value);
  }
  static nlohmann::json to(const Usd& value) {
    return value.micros;
  }
  template <class T>
  static nlohmann::json to(const std::optional<T>& value) {
    return value ? to(*value) : nlohmann::json(nullptr);
  }
  template <class T>
  static nlohmann::json to(const std::vector<T>& values) {
    nlohmann::json list = nlohmann::json::array();
    for (const T& value : values) list.push_back(to(value));
    return list;
  }
};

// Throws json's exceptions on a missing key or a wrong type.
struct FieldReader {
  const nlohmann::json& from;

  template <class T>
  void operator()(const char* key, T& value) {
    get(from.at(key), value);
  }

  template <class T>
  static void get(const nlohmann::json& node, T& value) {
    if constexpr (Listed<T>) {
      fields(value, FieldReader{node});
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(node.get<int>());
    } else {
      value = node.get<T>();
    }
  }
  static void get(const nlohmann::json& node, std::chrono::milliseconds& value) {
    value = std::chrono::milliseconds(node.get<std::int64_t>());
  }
  static void get(const nlohmann::json& node, std::chrono::seconds& value) {
    value = std::chrono::seconds(node.get<std::int64_t>());
  }
  static void get(const nlohmann::json& node, WallTime& value) {
    const Result<WallTime> time = parse_utc(node.get_ref<const std::string&>());
    if (time) value = *time;
  }
  static void get(const nlohmann::json& node, Usd& value) {
    value.micros = node.get<std::int64_t>();
  }
  template <class T>
  static void get(const nlohmann::json& node, std::optional<T>& value) {
    value.reset();
    if (!node.is_null()) get(node, value.emplace());
  }
  template <class T>
  static void get(const nlohmann::json& node, std::vector<T>& values) {
    values.clear();
    for (const nlohmann::json& item : node) get(item, values.emplace_back());
  }
};

template <Listed T>
nlohmann::json written(const T& value) {
  return FieldWriter::to(value);
}

}  // namespace mayfly
