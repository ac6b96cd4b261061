#include "launcher/verb_parser.h"

#include <algorithm>

#include "core/config/edit_distance.h"
#include "core/config/not_built.h"
#include "version.h"

namespace mayfly {

namespace {

constexpr const char* kCommonGroup = "Common";
constexpr const char* kConfigGroup = "Configuration";
constexpr const char* kFieldGroup = "Fields of the run file";
constexpr const char* kOwnGroup = "Options";

std::string usage_name(const Verb& verb, const std::string& program) {
  return verb.name == "run" || program == "status" ? program
                                                   : program + " " + std::string(verb.name);
}

std::string description(const Verb& verb) {
  return std::string(verb.summary) + "\n\nExamples:\n" + std::string(verb.examples);
}

// CLI11's text with one empty line between groups instead of two, and switches without what they
// stand for.
std::string tidy(std::string help) {
  const std::pair<std::string_view, std::string_view> replacements[] = {
      {"\n\n\n", "\n\n"}, {"{true}", ""}, {"{false}", ""}};
  for (const auto& [from, to] : replacements) {
    for (std::size_t at = help.find(from); at != std::string::npos; at = help.find(from)) {
      help.replace(at, from.size(), to);
    }
  }
  return help;
}

std::string type_name(const FieldInfo& field) {
  if (!field.choices.empty()) {
    std::string names;
    for (const std::string& choice : field.choices) names += (names.empty() ? "" : "|") + choice;
    return names;
  }
  std::string unit = field.unit.empty() ? (field.is_path ? "PATH" : "VALUE") : field.unit;
  unit = unit.substr(0, unit.find(' '));
  for (char& letter : unit) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  }
  return unit;
}

}  // namespace

Result<std::chrono::seconds> read_seconds(const std::string& text, const std::string& flag) {
  const Error error{ErrorKind::usage,
                    flag + " takes a time such as 90s, 30m or 6h, not \"" + text + "\""};
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  constexpr std::size_t kMostDigits = 9;
  if (digits == 0 || digits > kMostDigits) return error;
  const std::int64_t number = std::stoll(text.substr(0, digits));
  const std::string unit = text.substr(digits);
  if (unit.empty() || unit == "s") return std::chrono::seconds(number);
  if (unit == "m") return std::chrono::seconds(number * 60);
  if (unit == "h") return std::chrono::seconds(number * 3600);
  if (unit == "d") return std::chrono::seconds(number * 86400);
  return error;
}

VerbParser::VerbParser(const Verb& verb, const std::string& program)
    : app_(description(verb), usage_name(verb, program)) {
  line_.verb = verb.name;
  app_.set_help_flag("");
  app_.set_help_flag("-h,--help", "Show this help")->group(kCommonGroup);
  app_.option_defaults()->group(kOwnGroup);
  add_own(verb);
  if (verb.takes_config) add_config();
  add_common(verb);
  app_.footer("Exit codes: docs/exit_codes.md. All fields of a run file: docs/config.md.");
}

Result<CommandLine> VerbParser::parse(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());
  try {
    app_.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    line_.show = tidy(app_.help());
  } catch (const CLI::ExtrasError&) {
    return extra_error();
  } catch (const CLI::ParseError& error) {
    return Error{ErrorKind::usage, error.what(), "see `" + app_.get_name() + " --help`"};
  }
  if (error_) return *error_;
  if (version_) line_.show = std::string("mayfly ") + kVersion + "\n";
  return std::move(line_);
}

std::vector<std::string> VerbParser::flag_names() const {
  std::vector<std::string> names;
  for (const CLI::Option* option : app_.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

bool VerbParser::takes_value(const std::string& flag) const {
  const CLI::Option* option = app_.get_option_no_throw(flag);
  return option != nullptr && option->get_items_expected_max() > 0;
}

void VerbParser::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

CLI::Option* VerbParser::each(const std::string& names,
                              std::function<void(const std::string&)> take, const std::string& help,
                              const std::string& type) {
  return app_.add_option_function<std::string>(names, std::move(take), help)
      ->type_name(type)
      ->trigger_on_parse();
}

CLI::Option* VerbParser::setting(const std::string& flag, const std::string& path,
                                 const std::string& help, const std::string& type) {
  return each(
             flag,
             [this, path, flag](const std::string& text) {
               line_.common.settings.push_back({path, text, flag});
             },
             help, type)
      ->group(kFieldGroup);
}

void VerbParser::seconds(const std::string& name, std::optional<std::chrono::seconds>& into,
                         const std::string& help) {
  each(
      name,
      [this, name, &into](const std::string& text) {
        const auto time = read_seconds(text, name);
        if (time) {
          into = *time;
        } else {
          fail(time.error());
        }
      },
      help, "TIME");
}

void VerbParser::words(const std::string& name, const std::string& help) {
  app_.add_option(name, line_.words, help)->type_name("");
}

void VerbParser::add_config() {
  for (const FieldInfo& field : all_fields()) {
    if (!field.flag.empty()) add_field(field);
  }
  for (const EntryFlag& entry : entry_flags()) {
    setting(std::string(entry.flag), std::string(entry.path), std::string(entry.doc), "TEXT");
  }
  each(
      "--set",
      [this](const std::string& text) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
          return fail(Error{ErrorKind::usage, "--set takes path=value, not \"" + text + "\"",
                            "such as --set train.epochs=2"});
        }
        line_.common.settings.push_back({"", text, "--set"});
      },
      "Any field of a run file, such as train.epochs=2", "PATH=VALUE")
      ->group(kConfigGroup);
  each(
      "-c,--config", [this](const std::string& file) { line_.common.config_files.push_back(file); },
      "Run file; may be given several times, the later one wins", "FILE")
      ->group(kConfigGroup);
}

void VerbParser::add_field(const FieldInfo& field) {
  if (!field.is_switch) {
    setting(field.flag, field.path, field.doc, type_name(field));
    return;
  }
  app_.add_flag_function(
          field.flag + "{true},!--no-" + field.flag.substr(2),
          [this, path = field.path, flag = field.flag](std::int64_t count) {
            line_.common.settings.push_back({path, count > 0 ? "true" : "false", flag});
          },
          field.doc)
      ->trigger_on_parse()
      ->group(kFieldGroup);
}

void VerbParser::add_common(const Verb& verb) {
  const auto common = [](CLI::Option* option) { option->group(kCommonGroup); };
  common(app_.add_flag("--json", line_.common.json, "For scripts: JSON on standard output"));
  if (verb.asks) {
    common(app_.add_flag("-y,--yes", line_.common.yes, "Answer yes to every question"));
  }
  common(app_.add_flag("--version", version_, "Show the version"));
  common(app_.add_flag_callback(
                 "-v,--verbose", [this] { ++line_.common.verbosity; }, "Say more; -vv: more yet")
             ->trigger_on_parse());
  common(app_.add_flag_callback(
      "-q,--quiet", [this] { line_.common.verbosity = -1; }, "Say only what went wrong"));
  common(app_.add_flag_callback(
      "--no-color", [this] { line_.common.color = ColorChoice::never; }, "As --color never"));
  common(app_.add_option_function<std::string>(
                 "--color",
                 [this](const std::string& text) {
                   line_.common.color = text == "always"  ? ColorChoice::always
                                        : text == "never" ? ColorChoice::never
                                                          : ColorChoice::automatic;
                 },
                 "auto, always or never")
             ->type_name("WHEN")
             ->check(CLI::IsMember({"auto", "always", "never"})));
  common(app_.add_option("--state-file", line_.common.state_file,
                         "The list of runs; default: runs.json in the state folder")
             ->type_name("FILE"));
  common(app_.add_option("--log-file", line_.common.log_file, "Write a log there as well")
             ->type_name("FILE"));
}

Error VerbParser::extra_error() const {
  const std::vector<std::string> rest = app_.remaining();
  const std::string word = rest.empty() ? "" : rest.front();
  const std::string flag = word.substr(0, word.find('='));
  if (is_unbuilt_flag(flag) || not_built_flag(flag)) {
    return Error{ErrorKind::unsupported, flag + " is not built yet",
                 "see what works now with `" + app_.get_name() + " --help`"};
  }
  if (word.empty() || word.front() != '-') {
    return Error{ErrorKind::usage, "\"" + word + "\" is one word too many",
                 "see `" + app_.get_name() + " --help`"};
  }
  const std::string near = nearest_word(flag, flag_names());
  return Error{
      ErrorKind::usage, "there is no flag " + flag,
      near.empty() ? "see `" + app_.get_name() + " --help`" : "did you mean " + near + "?"};
}

}  // namespace mayfly
