#include "launcher/command_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>

#include <CLI/CLI.hpp>

#include "core/config/edit_distance.h"
#include "core/config/field_list.h"
#include "core/config/not_built.h"
#include "launcher/verbs.h"
#include "version.h"

namespace mayfly {

namespace {

constexpr const char* kCommonGroup = "Common";
constexpr const char* kConfigGroup = "Configuration";
constexpr const char* kFieldGroup = "Fields of the run file";
constexpr const char* kOwnGroup = "Options";

// "90s", "30m", "6h", "2d", or whole seconds.
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

// An App for one verb, whose callbacks write into a CommandLine and note what was wrong.
class VerbParser {
 public:
  VerbParser(const Verb& verb, const std::string& program)
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
  VerbParser(const VerbParser&) = delete;
  VerbParser& operator=(const VerbParser&) = delete;

  Result<CommandLine> parse(std::vector<std::string> arguments) {
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

  // All names, long and short, for completion and for "did you mean".
  std::vector<std::string> flag_names() const {
    std::vector<std::string> names;
    for (const CLI::Option* option : app_.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
    return names;
  }
  bool takes_value(const std::string& flag) const {
    const CLI::Option* option = app_.get_option_no_throw(flag);
    return option != nullptr && option->get_items_expected_max() > 0;
  }

 private:
  static std::string usage_name(const Verb& verb, const std::string& program) {
    return verb.name == "run" || program == "status" ? program
                                                     : program + " " + std::string(verb.name);
  }
  static std::string description(const Verb& verb) {
    return std::string(verb.summary) + "\n\nExamples:\n" + std::string(verb.examples);
  }

  // CLI11's text with one empty line between groups instead of two, and switches without what they
  // stand for.
  static std::string tidy(std::string help) {
    const std::pair<std::string_view, std::string_view> replacements[] = {
        {"\n\n\n", "\n\n"}, {"{true}", ""}, {"{false}", ""}};
    for (const auto& [from, to] : replacements) {
      for (std::size_t at = help.find(from); at != std::string::npos; at = help.find(from)) {
        help.replace(at, from.size(), to);
      }
    }
    return help;
  }

  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }

  // A flag whose values are taken one by one, in the order given.
  CLI::Option* each(const std::string& names, std::function<void(const std::string&)> take,
                    const std::string& help, const std::string& type) {
    return app_.add_option_function<std::string>(names, std::move(take), help)
        ->type_name(type)
        ->trigger_on_parse();
  }
  void seconds(const std::string& name, std::optional<std::chrono::seconds>& into,
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

  void add_own(const Verb& verb) {
    const std::string_view name = verb.name;
    if (name == "run" || name == "plan") add_run(name == "plan");
    if (name == "down" || name == "stop") {
      words("RUN", "Names or ids of runs");
      app_.add_flag("--all", line_.down.all, "All runs that may still have a machine");
      if (name == "down") {
        app_.add_flag("--orphans", line_.down.orphans,
                      "Machines nobody accounts for: `launch reap`");
      } else {
        app_.add_flag("--now", line_.down.now, "Do not save what is not saved yet");
      }
    }
    if (name == "checkpoint" || name == "extend" || name == "ssh") {
      words("RUN", "Name or id of the run; the one that goes on if none is given");
    }
    if (name == "extend") add_extend();
    if (name == "logs") add_logs();
    if (name == "pull") {
      words("RUN", "Name or id of the run");
      app_.add_option("--to", line_.to, "Folder to put the adapter in; must not exist")
          ->type_name("DIR");
    }
    if (name == "receipt") {
      words("RUN", "Name or id of the run");
      app_.add_flag("--verify", line_.verify,
                    "Check it against the provider's listing and the hub");
    }
    if (name == "name" || name == "doctor") words("FILE", "A run file, as -c");
    if (name == "config") {
      words("WHAT", "show, check FILE..., schema, init or list");
      app_.add_flag("--origin", line_.config.origin, "Show where each value came from");
      app_.add_option("--format", line_.config.format, "yaml, json, json-schema or text")
          ->type_name("FORMAT");
    }
    if (name == "data") {
      words("WHAT", "preview, check or stats");
      setting("--model", "model.base", "The same as --base-model", "PATH");
      each(
          "--rows",
          [this](const std::string& text) {
            const char* end = text.data() + text.size();
            const auto read = std::from_chars(text.data(), end, line_.data.rows);
            if (text == "all") {
              line_.data.rows = 0;
            } else if (read.ec != std::errc() || read.ptr != end || line_.data.rows < 1) {
              fail(Error{ErrorKind::usage, "--rows takes a number or all, not \"" + text + "\""});
            }
          },
          "How many rows preview shows (3), or all", "N");
    }
    if (name == "hub") {
      words("WHAT", "create, put, get, ls or branches; a repository; files");
      app_.add_flag("--private", line_.is_private, "Make the repository for yourself only");
    }
    if (name == "offers") add_offers();
    if (name == "apply") add_apply();
    if (name == "step") add_step();
    if (name == "completion") words("SHELL", "bash, zsh or fish");
    if (name == "status") {
      words("RUN", "Names or ids of runs; all that may be billing if none is given");
      app_.add_flag("--all", line_.status.all, "Runs that have ended, too");
      add_watch();
    }
  }

  void add_run(bool plan) {
    line_.run.dry_run = plan;
    words("FILE", "A run file, as -c");
    if (!plan) {
      app_.add_flag("--dry-run", line_.run.dry_run, "Show the plan, create nothing");
      app_.add_flag("-f,--follow", line_.run.follow, "Show the progress until the machine is gone");
      app_.add_flag("--wait", line_.run.wait, "Wait quietly until the machine is gone");
      // Spelled out for scripts; it is what happens anyway.
      app_.add_flag_callback(
          "--detach", [] {}, "Return after the agent's first sign of life (default)");
      seconds("--timeout", line_.run.timeout, "Longest wait of --follow and --wait");
    }
    app_.add_flag("--user-data", line_.run.user_data, "Print the machine's start-up file");
    app_.add_flag("--all-configs", line_.run.all_configs, "Offers with 1, 2, 4 and 8 GPUs");
    app_.add_flag_callback(
            "--smoke",
            [this] {
              for (const auto& [path, text] : kSmoke) {
                line_.common.settings.push_back({path, text, "--smoke"});
              }
            },
            "16 examples, 5 steps, one hour at most")
        ->trigger_on_parse();
  }

  void add_offers() {
    OfferWish& wish = line_.offers.wish;
    app_.add_option("--provider", wish.provider, "Ask this cloud only")->type_name("NAME");
    app_.add_option("--gpu", wish.gpus, "Only these, such as H100,A100")
        ->type_name("TYPE")
        ->delimiter(',');
    app_.add_option("--num-gpus", wish.counts, "Only with so many GPUs")
        ->type_name("N")
        ->delimiter(',')
        ->check(CLI::NonNegativeNumber);
    app_.add_flag("--all-configs", line_.offers.all_configs, "With 1, 2, 4 and 8 GPUs")
        ->excludes("--num-gpus");
    each(
        "--max-price",
        [this](const std::string& text) {
          const Result<Usd> price = parse_usd(text);
          if (!price) return fail({ErrorKind::usage, "--max-price: " + price.error().message});
          line_.offers.wish.max_price = *price;
        },
        "Not above this price per instance-hour", "USD");
    app_.add_option("--cloud", wish.cloud, "Whose machines, of a broker's")->type_name("NAME");
    app_.add_option("--region", wish.region, "Only there; the beginning of a name will do")
        ->type_name("NAME");
    app_.add_option("--instance-type", wish.instance_type, "Only this type")->type_name("TYPE");
    app_.add_option("--country", wish.country, "Only there")->type_name("NAME");
    app_.add_option("--city", wish.city, "Only there")->type_name("NAME");
    const auto speed = [this](const std::string& flag, std::optional<double>& into,
                              const std::string& help) {
      app_.add_option(flag, into, help)->type_name("MBIT/S")->check(CLI::NonNegativeNumber);
    };
    speed("--min-upload", wish.min_upload_mbps, "At least this fast out");
    speed("--min-download", wish.min_download_mbps, "At least this fast in");
    const auto either = [this](const std::string& flag, std::optional<bool>& into,
                               const std::string& help) {
      app_.add_flag_function(
          "--" + flag + "{true},!--no-" + flag, [&into](std::int64_t count) { into = count > 0; },
          help);
    };
    either("nvlink", wish.nvlink, "Only with NVLink between the GPUs; or only without");
    either("spot", wish.spot, "Only what may be taken away; or only what may not");
    app_.add_option("--fits", line_.offers.fits,
                    "Say where an adapter of this model can be trained")
        ->type_name("MODEL");
    app_.add_flag("--wide", line_.offers.wide, "More columns");
    app_.add_flag("--all", line_.offers.all, "Every row, however many");
    app_.add_flag("--select", line_.offers.select, "Choose one, and print the flags that name it");
  }

  void add_step() {
    words("STEP",
          "setup, generate, train, eval-model, upload or terminate; then a run file, as -c");
    app_.add_flag("--dry-run", line_.run.dry_run, "Of train: show the plan, create nothing");
    app_.add_flag("-f,--follow", line_.run.follow, "Of train: show the progress to the end");
    app_.add_flag("--wait", line_.run.wait, "Of train: wait quietly for the end");
  }

  void add_apply() {
    ApplyFlags& flags = line_.apply;
    words("FILE", "A file with a fleet or a sweep, as -c");
    app_.add_flag("--dry-run", line_.run.dry_run, "Show the runs and what they cost");
    app_.add_flag("--deploy-only", flags.deploy_only,
                  "Show the cost, destroy what is extra, start no experiment");
    app_.add_flag("--no-deploy", flags.no_deploy,
                  "Start experiments only in pods that have a machine now");
    app_.add_flag("--no-sync", flags.no_sync, "Changes nothing: no code is synced");
    app_.add_flag("--no-setup", flags.no_setup, "Changes nothing: there is no set-up to leave out");
    app_.add_flag("--prune{true},!--no-prune", flags.prune,
                  "Destroy runs of the fleet that the file does not name any more (default)");
  }

  void add_extend() {
    each(
        "--hours",
        [this](const std::string& text) {
          const char* end = text.data() + text.size();
          const auto read = std::from_chars(text.data(), end, line_.extend.hours);
          constexpr double kYear = 8760;
          // Written so that "nan", which is a number to from_chars, is none.
          if (read.ec == std::errc() && read.ptr == end && line_.extend.hours > 0 &&
              line_.extend.hours <= kYear) {
            return;
          }
          fail(Error{ErrorKind::usage,
                     "--hours takes hours such as 1 or 0.5, not \"" + text + "\""});
        },
        "Hours to add to the time limit", "H");
    each(
        "--usd",
        [this](const std::string& text) {
          const Result<Usd> amount = parse_usd(text);
          if (!amount || amount->micros <= 0) {
            return fail(Error{ErrorKind::usage,
                              "--usd takes dollars such as 5 or 0.50, not \"" + text + "\""});
          }
          line_.extend.spend = *amount;
        },
        "Dollars to add to the spend limit", "D");
  }

  void add_logs() {
    words("RUN", "Name or id of the run; the newest if none is given");
    app_.add_flag("-f,--follow", line_.logs.follow, "Go on showing what is added");
    app_.add_option("--tail", line_.logs.tail, "Only the last so many lines")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    app_.add_option("--save", line_.logs.save, "Copy the logs into this folder")->type_name("DIR");
    app_.add_option("--stage", line_.logs.stage, "train or agent; default both")
        ->type_name("STAGE")
        ->check(CLI::IsMember({"train", "agent"}));
  }

  void add_watch() {
    each(
        "--watch",
        [this](const std::string& text) {
          const auto every = read_seconds(text.empty() ? "60" : text, "--watch");
          if (!every) return fail(every.error());
          if (every->count() < 1) {
            return fail(Error{ErrorKind::usage, "--watch takes at least 1 second"});
          }
          line_.status.watch = *every;
        },
        "Again every so many seconds (60)", "SECONDS")
        ->expected(0, 1);
  }

  void add_config() {
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
        "-c,--config",
        [this](const std::string& file) { line_.common.config_files.push_back(file); },
        "Run file; may be given several times, the later one wins", "FILE")
        ->group(kConfigGroup);
  }

  CLI::Option* setting(const std::string& flag, const std::string& path, const std::string& help,
                       const std::string& type) {
    return each(
               flag,
               [this, path, flag](const std::string& text) {
                 line_.common.settings.push_back({path, text, flag});
               },
               help, type)
        ->group(kFieldGroup);
  }

  void add_field(const FieldInfo& field) {
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

  static std::string type_name(const FieldInfo& field) {
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

  void add_common(const Verb& verb) {
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

  void words(const std::string& name, const std::string& help) {
    app_.add_option(name, line_.words, help)->type_name("");
  }

  // What CLI11 did not know: a flag that is not built yet, a misspelt one, or one word too many.
  Error extra_error() const {
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

  static constexpr std::array<std::pair<const char*, const char*>, 3> kSmoke = {
      std::pair{"data.sample_size", "16"}, std::pair{"train.max_steps", "5"},
      std::pair{"limits.ttl_hours", "1"}};

  CLI::App app_;
  CommandLine line_;
  bool version_ = false;
  std::optional<Error> error_;
};

bool is_run_file(const std::string& word) {
  return word.size() > 5 && (word.ends_with(".yaml") || word.ends_with(".yml"));
}

// Run files among the words become -c; any other word beside them is a mistake.
Result<CommandLine> take_run_files(CommandLine line) {
  if (line.verb != "run" && line.verb != "plan" && line.verb != "name" && line.verb != "doctor" &&
      line.verb != "apply") {
    return line;
  }
  for (const std::string& word : line.words) {
    if (!is_run_file(word)) {
      std::vector<std::string> names;
      for (const Verb& verb : launch_verbs()) names.emplace_back(verb.name);
      const std::string near = nearest_word(word, names);
      return Error{ErrorKind::usage, "\"" + word + "\" is neither a command nor a .yaml file",
                   near.empty() ? "see `launch --help`" : "did you mean `launch " + near + "`?"};
    }
    line.common.config_files.push_back(word);
  }
  line.words.clear();
  return line;
}

// Where the verb stands: the first argument that is neither a flag nor a flag's value, if it is the
// name of one; else npos.
std::size_t verb_position(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && !arguments.front().starts_with('-')) {
    return is_verb_name(arguments.front()) ? 0 : std::string::npos;
  }
  const VerbParser run(find_verb("run"), "launch");
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with('-')) {
      return is_verb_name(arguments[i]) ? i : std::string::npos;
    }
    if (arguments[i].find('=') == std::string::npos && run.takes_value(arguments[i])) ++i;
  }
  return std::string::npos;
}

}  // namespace

Result<CommandLine> parse_launch(const std::vector<std::string>& arguments) {
  std::vector<std::string> rest = arguments;
  std::string name = "run";
  if (const std::size_t at = verb_position(arguments); at != std::string::npos) {
    name = arguments[at];
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (is_unbuilt_verb(name)) {
    return Error{ErrorKind::unsupported, "`launch " + name + "` is not built yet",
                 "see what works now with `launch --help`"};
  }
  if (name == "help") return parse_launch({"--help"});
  std::vector<std::string> remote_command;
  if (const auto dashes = std::find(rest.begin(), rest.end(), "--");
      name == "ssh" && dashes != rest.end()) {
    remote_command.assign(dashes + 1, rest.end());
    rest.erase(dashes, rest.end());
  }
  VerbParser parser(find_verb(name), "launch");
  Result<CommandLine> line = parser.parse(std::move(rest));
  if (!line) return line;
  line->remote_command = std::move(remote_command);
  if (name == "run" && !line->show.empty() && line->show.starts_with(find_verb("run").summary)) {
    line->show = list_of_verbs(line->show);
  }
  return take_run_files(std::move(*line));
}

Result<CommandLine> parse_status(const std::vector<std::string>& arguments) {
  return VerbParser(status_verb(), "status").parse(arguments);
}

bool wants_json(const std::vector<std::string>& arguments) {
  return std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
}

std::vector<std::string> flag_names_of(const Verb& verb) {
  return VerbParser(verb, "launch").flag_names();
}

}  // namespace mayfly
