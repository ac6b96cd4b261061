// Fields of a tokenizer.json, and what is said of those that are wrong. `what` names the file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <simdjson.h>

#include "core/result.h"

namespace mayfly {

// nullopt when the field is absent or null.
inline std::optional<simdjson::dom::element> json_field(const simdjson::dom::element& parent,
                                                        std::string_view name) {
  simdjson::dom::element found;
  if (parent.at_key(name).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return found;
}

// "" for what is no text.
inline std::string json_text(const simdjson::dom::element& parent, std::string_view name) {
  const auto found = json_field(parent, name);
  std::string_view text;
  if (!found || found->get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

inline bool json_flag(const simdjson::dom::element& parent, std::string_view name, bool otherwise) {
  const auto found = json_field(parent, name);
  bool value = otherwise;
  if (!found || found->get(value) != simdjson::SUCCESS) return otherwise;
  return value;
}

inline Error tokenizer_error(std::string_view what, ErrorKind kind, std::string message) {
  return Error{kind, std::move(message), {}, {std::string(what)}};
}

inline Error corrupt_tokenizer(std::string_view what, std::string message) {
  return tokenizer_error(what, ErrorKind::corrupt, std::move(message));
}

inline Error unsupported_tokenizer(std::string_view what, const std::string& field,
                                   std::string_view value) {
  return tokenizer_error(what, ErrorKind::unsupported,
                         field + " " + std::string(value) + " is not supported");
}

}  // namespace mayfly
