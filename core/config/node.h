// A value of a configuration before it has a type: what YAML, JSON and the command line are turned
// into, and what a typed field reads (core/config/value.h). The text of a scalar is kept as it was
// written; what it means is decided by the field, so that a version 010 or a country `no` survive.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mayfly {

struct ConfigEntry;

// Where a value stands in its file; 0: nowhere, it came from the command line or the program.
struct Place {
  int line = 0;
  int column = 0;
};

struct ConfigNode {
  enum class Kind { null, scalar, list, map };
  // What a scalar is when it is written as JSON: a bare word (number, true, false) or a string.
  // An amount of money is bare in YAML and a string in JSON, where it would become a double.
  enum class Style { bare, text, amount };

  Kind kind = Kind::null;
  std::string text;  // of a scalar
  Style style = Style::bare;
  Place place;
  std::vector<ConfigNode> items;     // of a list
  std::vector<ConfigEntry> entries;  // of a map, in the order written
};

struct ConfigEntry {
  std::string key;
  Place place;
  ConfigNode value;
};

inline ConfigNode scalar_node(std::string text, ConfigNode::Style style) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::scalar;
  node.text = std::move(text);
  node.style = style;
  return node;
}

}  // namespace mayfly
