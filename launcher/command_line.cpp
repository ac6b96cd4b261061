#include "launcher/command_line.h"

#include <algorithm>

#include "core/config/edit_distance.h"
#include "launcher/verb_parser.h"
#include "launcher/verbs.h"

namespace mayfly {

namespace {

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
  if (line->run.destroy) {
    line->verb = "down";
    line->down.all = line->words.empty();
  } else if (!line->run.resume.empty()) {
    line->verb = "resume";
    line->words = {line->run.resume};
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
