// One object of a model's config.json: its fields by name, each with what it must be.
//
// Keeps the first fault, so that the caller can read all fields and look once. What it reads stays
// the caller's and must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"

namespace mayfly {

class ConfigFields {
 public:
  // `what` names the file in errors.
  ConfigFields(const nlohmann::json& object, std::string_view what)
      : object_(object), what_(what) {}

  bool is_null(const char* key) const;
  // nullptr: absent or null.
  const nlohmann::json* find(const char* key) const;

  // Absent or null, these give `otherwise`; a wrong value is a fault (corrupt) and gives anything.
  std::int64_t count(const char* key, std::optional<std::int64_t> otherwise = {},
                     std::int64_t least = 1);
  double positive(const char* key, std::optional<double> otherwise = {});
  bool flag(const char* key, bool otherwise);
  std::string text(const char* key, std::string otherwise);
  // A list of `count` positive numbers.
  std::vector<double> positives(const char* key, std::int64_t count);

  // Refuses the value that `key` has: a fault (unsupported).
  void refuse_value(const char* key, const std::string& why);
  void refuse(const std::string& why);

  const std::optional<Error>& fault() const {
    return fault_;
  }
  void keep(Error error);
  std::string_view what() const {
    return what_;
  }

 private:
  void fail(const char* key, const std::string& wanted);

  const nlohmann::json& object_;
  std::string_view what_;
  std::optional<Error> fault_;
};

}  // namespace mayfly
