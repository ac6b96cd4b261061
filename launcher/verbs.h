// The table of commands: name, what each is for, examples. One row a command; what features.md
// names beyond them is listed as not built, so that it is refused by name.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mayfly {

struct Verb {
  std::string_view name;
  std::string_view summary;
  std::string_view examples;  // lines of "  command    what it does"
  bool takes_config = false;  // run files and field flags
  bool asks = false;          // may ask a question: has --yes
};

std::span<const Verb> launch_verbs();
const Verb& status_verb();

// Requires a name of launch_verbs().
const Verb& find_verb(std::string_view name);

// Built or not: whether the word is taken as a command.
bool is_verb_name(std::string_view word);
bool is_unbuilt_verb(std::string_view word);
bool is_unbuilt_flag(std::string_view flag);

// `help` with the commands and their summaries put in behind its examples.
std::string list_of_verbs(const std::string& help);

}  // namespace mayfly
