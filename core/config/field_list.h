// The fields of RunConfig as plain data: what command lines, help and documentation are made from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

struct FieldInfo {
  std::string path;     // "train.epochs"
  std::string section;  // "train"; "" at the top level
  std::string key;      // "epochs"
  std::string doc;
  std::string unit;                  // "" if none
  std::string flag;                  // "--epochs"; "" if none. `--set train.epochs=3` always works
  std::string type;                  // in words: "whole number", "list of texts", "one of a, b"
  std::string default_text;          // as in YAML; "null": not set
  std::vector<std::string> aliases;  // other keys in the same section
  std::vector<std::string> choices;  // of an enum
  std::optional<double> at_least;    // of a duration, in seconds
  std::optional<double> at_most;
  bool is_switch = false;  // true or false: the flag alone means true
  bool is_list = false;    // a flag may be given as one text with commas
  bool is_map = false;     // entries are paths of their own: generate.vars.animal
  bool is_optional = false;
  bool is_path = false;
  bool is_secret = false;
};

// Every field, in the order of the documentation. Built anew on each call, about 0.1 ms.
std::vector<FieldInfo> all_fields();

// The sections with their one sentence, in the same order; not the top level.
struct SectionInfo {
  std::string name;
  std::string doc;
};
std::vector<SectionInfo> all_sections();

// Flags of single values inside a map, which have no field of their own: `--animal` sets
// generate.vars.animal.
struct EntryFlag {
  std::string_view flag;
  std::string_view path;
  std::string_view doc;
};
const std::vector<EntryFlag>& entry_flags();

}  // namespace mayfly
