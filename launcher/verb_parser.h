// One verb's flags as CLI11 wants them: what is read goes into a CommandLine, what was wrong is
// kept until the end. The flags that all verbs have are in verb_parser.cpp, those of each verb in
// verb_flags.cpp; no other file knows CLI11.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "core/config/field_list.h"
#include "launcher/command_line.h"

namespace mayfly {

class VerbParser {
 public:
  VerbParser(const Verb& verb, const std::string& program);
  VerbParser(const VerbParser&) = delete;
  VerbParser& operator=(const VerbParser&) = delete;

  // Once: it gives away what it has read. Errors: usage; unsupported for what is not built yet.
  Result<CommandLine> parse(std::vector<std::string> arguments);

  // All names, long and short, for completion and for "did you mean".
  std::vector<std::string> flag_names() const;
  bool takes_value(const std::string& flag) const;

 private:
  // What every verb has, and every verb that takes a run file.
  void add_common(const Verb& verb);
  void add_config();
  void add_field(const FieldInfo& field);

  // What one verb has.
  void add_own(const Verb& verb);
  void add_run(bool plan);
  void add_offers();
  void add_step();
  void add_apply();
  void add_resume();
  void add_data();
  void add_extend();
  void add_logs();
  void add_watch();

  // A flag whose values are taken one by one, in the order given.
  CLI::Option* each(const std::string& names, std::function<void(const std::string&)> take,
                    const std::string& help, const std::string& type);
  // A flag that sets a field of the run file.
  CLI::Option* setting(const std::string& flag, const std::string& path, const std::string& help,
                       const std::string& type);
  void seconds(const std::string& name, std::optional<std::chrono::seconds>& into,
               const std::string& help);
  void words(const std::string& name, const std::string& help);

  void fail(Error error);
  // What CLI11 did not know: a flag that is not built yet, a misspelt one, or one word too many.
  Error extra_error() const;

  CLI::App app_;
  CommandLine line_;
  bool version_ = false;
  std::optional<Error> error_;
};

// "90s", "30m", "6h", "2d", or whole seconds. Errors: usage, naming the flag.
Result<std::chrono::seconds> read_seconds(const std::string& text, const std::string& flag);

}  // namespace mayfly
