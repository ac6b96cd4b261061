#include "core/config/value.h"

#include <array>
#include <cmath>

#include "core/config/edit_distance.h"

namespace mayfly {

namespace {

// "12" for 12.0, "0.0002" for 2e-4: numbers in messages as a person writes them.
std::string bound(double value) {
  return detail::shortest_number(value);
}

std::string with_unit(std::string number, const FieldDoc& doc) {
  return doc.unit.empty() ? number : number + " " + std::string(doc.unit);
}

// Empty when `value` is in the field's range, else the reason.
std::string out_of_range(double value, const FieldDoc& doc) {
  if (value < doc.at_least) return "must be at least " + with_unit(bound(doc.at_least), doc);
  if (value > doc.at_most) return "must be at most " + with_unit(bound(doc.at_most), doc);
  return {};
}

template <class T>
Result<T> in_range(T value, double measured, const ConfigNode& node, const FieldDoc& doc) {
  if (const std::string why = out_of_range(measured, doc); !why.empty()) {
    return detail::value_error(node, why + ", not " + node.text);
  }
  return value;
}

std::string without_spaces(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

constexpr std::array kUnits = {std::pair{'d', 86'400}, std::pair{'h', 3'600}, std::pair{'m', 60},
                               std::pair{'s', 1}};

// "90m" in seconds; nothing if it is not a whole number with a unit, or beyond a thousand years.
std::optional<std::int64_t> parse_duration(std::string_view text) {
  if (text.size() < 2) return {};
  std::int64_t count = 0;
  const char* const end = text.data() + text.size() - 1;
  const auto [stop, failure] = std::from_chars(text.data(), end, count);
  if (failure != std::errc{} || stop != end || count < 0) return {};
  for (const auto& [unit, seconds] : kUnits) {
    if (text.back() == unit && count <= 31'536'000'000 / seconds) return count * seconds;
  }
  return {};
}

// How many seconds one of the field's unit has; 0 when the unit is no time.
double seconds_of_unit(std::string_view unit) {
  if (unit == "hours") return 3600;
  if (unit == "minutes") return 60;
  return unit == "seconds" ? 1 : 0;
}

}  // namespace

std::string duration_text(std::chrono::seconds duration) {
  const auto count = duration.count();
  for (const auto& [unit, seconds] : kUnits) {
    if (count != 0 && count % seconds == 0) return std::to_string(count / seconds) + unit;
  }
  return std::to_string(count) + "s";
}

std::string problem_of(const std::string& path, const std::string& message) {
  const bool of_part = message.starts_with('[') || message.starts_with('.');
  return path + (of_part ? "" : " ") + message;
}

namespace detail {

Error value_error(const ConfigNode& node, std::string message) {
  return {
      ErrorKind::invalid_config, std::move(message), {}, {{}, node.place.line, node.place.column}};
}

Error error_of_part(std::string name, Error error) {
  error.message = problem_of(name, error.message);
  return error;
}

Error unknown_part(const ConfigEntry& entry, const std::vector<std::string>& known) {
  const std::string near = nearest_word(entry.key, known);
  return {ErrorKind::invalid_config,
          "." + entry.key + " is no key of it",
          near.empty() ? "" : "did you mean " + near + "?",
          {{}, entry.place.line, entry.place.column}};
}

Result<std::string> scalar_text(const ConfigNode& node, const std::string& wanted) {
  switch (node.kind) {
    case ConfigNode::Kind::scalar:
      return node.text;
    case ConfigNode::Kind::null:
      return value_error(node, "must be " + wanted + ", not nothing");
    case ConfigNode::Kind::list:
      return value_error(node, "must be " + wanted + ", not a list");
    case ConfigNode::Kind::map:
      return value_error(node, "must be " + wanted + ", not a map");
  }
  return node.text;
}

Result<bool> read_bool(const ConfigNode& node) {
  const Result<std::string> text = scalar_text(node, "true or false");
  if (!text) return text.error();
  // The spellings of the YAML 1.2 core schema. `yes` and `on` are texts there and true in 1.1.
  if (*text == "true" || *text == "True" || *text == "TRUE") return true;
  if (*text == "false" || *text == "False" || *text == "FALSE") return false;
  return value_error(node, "must be true or false, not \"" + *text + "\"");
}

Result<std::int64_t> read_integer(const ConfigNode& node, const FieldDoc& doc) {
  const Result<std::string> text = scalar_text(node, "a whole number");
  if (!text) return text.error();
  const char* const end = text->data() + text->size();
  std::int64_t value = 0;
  const auto [stop, failure] = std::from_chars(text->data(), end, value);
  if (failure == std::errc::result_out_of_range) {
    return value_error(node, *text + " is too large a number");
  }
  if (failure != std::errc{} || stop != end) {
    return value_error(node, "must be a whole number, not \"" + *text + "\"");
  }
  const std::size_t digits = text->front() == '-' ? 1 : 0;
  if (text->size() > digits + 1 && (*text)[digits] == '0') {
    return value_error(node, *text + " starts with a zero, which some take for octal: write " +
                                 std::to_string(value));
  }
  return in_range(value, static_cast<double>(value), node, doc);
}

Result<double> read_number(const ConfigNode& node, const FieldDoc& doc) {
  const Result<std::string> text = scalar_text(node, "a number");
  if (!text) return text.error();
  if (const double unit = seconds_of_unit(doc.unit); unit > 0) {
    if (const auto seconds = parse_duration(*text)) {
      const double value = static_cast<double>(*seconds) / unit;
      return in_range(value, value, node, doc);
    }
  }
  const bool plain = text->find_first_not_of("0123456789+-.eE") == std::string::npos;
  // The standard's function takes a minus sign and no plus.
  const bool plus = text->size() > 1 && text->front() == '+' && (*text)[1] != '-';
  const char* const begin = text->data() + (plus ? 1 : 0);
  const char* const end = text->data() + text->size();
  double value = 0;
  const auto [stop, failure] = std::from_chars(begin, end, value);
  if (!plain || failure == std::errc::invalid_argument || stop != end) {
    return value_error(node, "must be a number, not \"" + *text + "\"");
  }
  if (failure == std::errc::result_out_of_range || !std::isfinite(value)) {
    return value_error(node, *text + " is beyond what a number can hold");
  }
  return in_range(value, value, node, doc);
}

Result<Usd> read_amount(const ConfigNode& node, const FieldDoc& doc) {
  const Result<std::string> text = scalar_text(node, "an amount in USD");
  if (!text) return text.error();
  const Result<Usd> amount = parse_usd(*text);
  if (!amount) {
    return value_error(
        node,
        "must be an amount such as 150 or 12.50, with up to six decimals, not \"" + *text + "\"");
  }
  return in_range(*amount, static_cast<double>(amount->micros) / 1e6, node, doc);
}

Result<std::chrono::seconds> read_duration(const ConfigNode& node, const FieldDoc& doc) {
  const Result<std::string> text = scalar_text(node, "a duration");
  if (!text) return text.error();
  const auto seconds = *text == "0" ? 0 : parse_duration(*text);
  if (!seconds) {
    return value_error(node,
                       "must be a duration such as 90s, 30m, 6h or 2d, not \"" + *text + "\"");
  }
  if (static_cast<double>(*seconds) < doc.at_least) {
    const std::chrono::seconds least(static_cast<std::int64_t>(doc.at_least));
    return value_error(node, "must be at least " + duration_text(least) + ", not " + *text);
  }
  if (static_cast<double>(*seconds) > doc.at_most) {
    const std::chrono::seconds most(static_cast<std::int64_t>(doc.at_most));
    return value_error(node, "must be at most " + duration_text(most) + ", not " + *text);
  }
  return std::chrono::seconds(*seconds);
}

Result<std::vector<ConfigNode>> list_items(const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::list) return node.items;
  if (node.kind == ConfigNode::Kind::null) return std::vector<ConfigNode>{};
  const Result<std::string> text = scalar_text(node, "a list");
  if (!text) return text.error();
  std::vector<ConfigNode> items;
  std::string_view rest = *text;
  while (!without_spaces(*text).empty()) {
    const auto comma = rest.find(',');
    ConfigNode item = scalar_node(without_spaces(rest.substr(0, comma)), node.style);
    item.place = node.place;
    if (item.text.empty()) {
      return value_error(node, "has an empty part between commas in \"" + *text + "\"");
    }
    items.push_back(std::move(item));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return items;
}

Result<std::map<std::string, std::string>> read_texts(const ConfigNode& node) {
  std::map<std::string, std::string> values;
  if (node.kind == ConfigNode::Kind::map) {
    for (const ConfigEntry& entry : node.entries) {
      Result<std::string> text = scalar_text(entry.value, "a text");
      if (!text) return text.error();
      values[entry.key] = std::move(*text);
    }
    return values;
  }
  const Result<std::vector<ConfigNode>> items = list_items(node);
  if (!items) return items.error();
  for (const ConfigNode& item : *items) {
    const auto equals = item.text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return value_error(node,
                         "must be a map, or a text such as name=value, not \"" + item.text + "\"");
    }
    values[item.text.substr(0, equals)] = item.text.substr(equals + 1);
  }
  return values;
}

std::string shortest_number(double value) {
  std::array<char, 64> buffer{};
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-6 && size < 1e15);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, failure] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
  if (failure != std::errc{}) return "0";
  std::string text(buffer.data(), end);
  // Without a dot, readers of YAML 1.1 such as PyYAML take 1e-08 for a text.
  const auto exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) {
    text.insert(exponent, ".0");
  }
  return text;
}

}  // namespace detail

}  // namespace mayfly
