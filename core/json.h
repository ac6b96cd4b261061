// Strict JSON on top of nlohmann-json: what that library lets through silently (duplicate keys,
// nesting without end, bytes that are not UTF-8) is an error here, with line and column.
//
// Values are nlohmann::json; include <nlohmann/json.hpp> in the .cpp that looks inside one (it
// costs seconds to compile, so it stays out of headers).
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"

namespace mayfly {

// Parses one JSON document. `what` names it in errors ("plan.json", "answer of the hub").
// At most 64 levels deep. Error: corrupt.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view what);

// One line, keys in insertion order of the library (sorted), non-ASCII kept. Never throws: bytes
// that are not UTF-8 are replaced.
std::string json_line(const nlohmann::json& value);
// The same over several lines, indented by two.
std::string json_text(const nlohmann::json& value);

// The text at `key`; "" where there is none, or `object` is no object.
std::string text_at(const nlohmann::json& object, std::string_view key);

}  // namespace mayfly
