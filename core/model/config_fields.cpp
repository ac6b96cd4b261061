#include "core/model/config_fields.h"

#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/model/family.h"

namespace mayfly {

using nlohmann::json;

bool ConfigFields::is_null(const char* key) const {
  const auto found = object_.find(key);
  return found != object_.end() && found->is_null();
}

const json* ConfigFields::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t ConfigFields::count(const char* key, std::optional<std::int64_t> otherwise,
                                 std::int64_t least) {
  const json* const value = find(key);
  if (value == nullptr && otherwise) return *otherwise;
  // Upper bound: products of two sizes stay far below 2^63.
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (value == nullptr || !value->is_number_integer() ||
      value->get<double>() < static_cast<double>(least) ||
      value->get<double>() > static_cast<double>(kMost)) {
    fail(key, least == 1 ? "a whole number from 1 to 2^30" : "a whole number up to 2^30");
    return 1;
  }
  return value->get<std::int64_t>();
}

double ConfigFields::positive(const char* key, std::optional<double> otherwise) {
  const json* const value = find(key);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr || !value->is_number() || !(value->get<double>() > 0) ||
      !std::isfinite(value->get<double>())) {
    fail(key, "a positive number");
    return 1;
  }
  return value->get<double>();
}

bool ConfigFields::flag(const char* key, bool otherwise) {
  const json* const value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) fail(key, "true or false");
  return value->is_boolean() && value->get<bool>();
}

std::string ConfigFields::text(const char* key, std::string otherwise) {
  const json* const value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) fail(key, "a text");
  return value->is_string() ? value->get<std::string>() : otherwise;
}

std::vector<double> ConfigFields::positives(const char* key, std::int64_t count) {
  const json* const list = find(key);
  std::vector<double> numbers;
  if (list != nullptr && list->is_array()) {
    for (const json& each : *list) {
      if (each.is_number() && each.get<double>() > 0 && std::isfinite(each.get<double>())) {
        numbers.push_back(each.get<double>());
      }
    }
  }
  if (static_cast<std::int64_t>(numbers.size()) != count || list->size() != numbers.size()) {
    fail(key, "a list of " + std::to_string(count) + " positive numbers");
  }
  return numbers;
}

void ConfigFields::refuse_value(const char* key, const std::string& why) {
  const json* const value = find(key);
  refuse("\"" + std::string(key) + "\": " + (value == nullptr ? "absent" : json_line(*value)) +
         " is not supported; " + why);
}

void ConfigFields::refuse(const std::string& why) {
  keep(Error{ErrorKind::unsupported, std::string(what_) + ": " + why,
             "supported families: " + family_list()});
}

void ConfigFields::keep(Error error) {
  if (!fault_) fault_ = std::move(error);
}

void ConfigFields::fail(const char* key, const std::string& wanted) {
  const json* const value = find(key);
  keep(Error{ErrorKind::corrupt,
             std::string(what_) + ": \"" + key + "\" must be " + wanted +
                 (value == nullptr ? ", and is missing" : ", not " + json_line(*value))});
}

}  // namespace mayfly
