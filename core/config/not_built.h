// What the schema has and this version cannot do yet: keys, values and flags, refused by name. A
// key whose value asks for what happens anyway (`train.fp16: false`) is let through.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"

namespace mayfly {

// The reason, if `path` (under its present name, core/config/aliases.h) or a section it is in is
// not built; "" when the name says it all.
std::optional<std::string> not_built_key(std::string_view path);

// Whether the value of such a key changes nothing: null, blank, an empty list or map, a map of only
// such values, or what this version does anyway.
bool asks_for_nothing(std::string_view path, const ConfigNode& value);

// Whether this value, of a field that is built, is not: phase rl, provider aws.
bool value_not_built(std::string_view path, std::string_view value);

// The key behind a command line name of the guides that is not built: "--gpu" -> "instance.gpu".
std::optional<std::string> not_built_flag(std::string_view flag);

// Every key of the table, for the documentation.
struct NotBuilt {
  std::string path;
  std::string reason;
  std::vector<std::string> harmless;  // values that are accepted
};
std::vector<NotBuilt> not_built_keys();

}  // namespace mayfly
