// A YAML file as a tree of texts: the strict part of YAML that a configuration needs.
//
// Refused, each with its place: anchors, aliases and merge keys (430 bytes of aliases can stand for
// 10^9 values), tags, duplicate keys (yaml-cpp keeps the first and says nothing), keys that are not
// plain texts, a second document, bytes that are not UTF-8, more than 1 MiB, 100,000 values or 32
// levels. Nothing is typed here: `yes`, `010` and `1e400` stay the texts they are.
//
// The only file that includes yaml-cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"
#include "core/result.h"

namespace mayfly {

struct YamlDocument {
  ConfigNode root;              // null for an empty file
  std::vector<Error> problems;  // invalid_config, with line and column; empty: root is whole
};

// `file` names the text in errors.
YamlDocument parse_yaml(std::string_view text, const std::string& file);

// One value written on the command line: `[a, b]` and `{a: b}` are read as YAML, `null` and `~` are
// null, everything else is a scalar with exactly this text.
YamlDocument parse_inline_value(std::string_view text);

// The inverse: the text of a node on one line, quoted only where a YAML reader would misread it.
std::string inline_yaml(const ConfigNode& node);

}  // namespace mayfly
