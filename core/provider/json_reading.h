// Reading vendors' JSON, which leaves out, nulls and quotes as it likes: what is not there or has
// another type reads as the fallback, so that one odd row does not cost the whole answer.
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/usd.h"

namespace mayfly {

inline const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  static const nlohmann::json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

// Also of a number in quotes.
inline std::optional<double> number_of(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string& text = value.get_ref<const std::string&>();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const bool whole = !text.empty() && end == text.c_str() + text.size();
  return whole && std::isfinite(number) ? std::optional(number) : std::nullopt;
}

// 0 when there is none, or one beyond any sensible count.
inline int count_of(const nlohmann::json& object, const char* key) {
  const double value = number_of(object, key).value_or(0);
  constexpr double kMost = 1e9;
  return value >= 0 && value < kMost ? static_cast<int>(value) : 0;
}

inline bool flag_of(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

inline std::optional<bool> maybe_flag_of(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
}

// Dollars as a float, rounded to the nearest millionth; nullopt for none, for less than nothing,
// and for more than a machine can cost.
inline std::optional<Usd> dollars_of(std::optional<double> amount) {
  constexpr double kMost = 1e9;
  if (!amount || !(*amount >= 0) || *amount > kMost) return std::nullopt;
  return Usd{std::llround(*amount * 1e6)};
}

// The list under `key`; an empty one if there is none.
inline const nlohmann::json& list_of(const nlohmann::json& object, const char* key) {
  static const nlohmann::json empty = nlohmann::json::array();
  const nlohmann::json& value = member(object, key);
  return value.is_array() ? value : empty;
}

}  // namespace mayfly
