#include "launcher/config_command.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config/config_json.h"
#include "core/config/describe.h"
#include "core/config/fleet_file.h"
#include "core/config/resolved.h"
#include "core/config/schema.h"
#include "core/json.h"
#include "core/report_error.h"

namespace mayfly {

namespace {

using Json = nlohmann::json;

ExitCode usage(const ConfigCommand& command, std::string message, std::string hint) {
  return report_error({ErrorKind::usage, std::move(message), std::move(hint)}, command.json);
}

ExitCode wrong_format(const ConfigCommand& command, const std::string& formats) {
  return usage(command, "config " + command.verb + " has no --format " + command.format,
               "one of " + formats);
}

Json origins_json(const LoadedConfig& loaded) {
  Json origins = Json::object();
  for (const auto& [path, origin] : loaded.origins) origins[path] = origin_text(origin);
  return origins;
}

ExitCode show(const ConfigCommand& command, std::ostream& out) {
  if (command.format == "json-schema") {
    out << json_text(config_schema());
    return ExitCode::ok;
  }
  const bool json = command.format == "json" || (command.format.empty() && command.json);
  if (!json && !command.format.empty() && command.format != "yaml") {
    return wrong_format(command, "yaml, json, json-schema");
  }
  ConfigInputs inputs = command.inputs;
  inputs.files.insert(inputs.files.end(), command.words.begin(), command.words.end());
  inputs.must_be_complete = false;
  const LoadedConfig loaded = load_config(inputs);
  if (!loaded.problems.empty()) return report_errors(loaded.problems, command.json);
  if (!json) {
    out << resolved_yaml(loaded, command.origin);
  } else if (command.origin) {
    out << json_text(
        {{"config", config_to_json(loaded.config)}, {"origins", origins_json(loaded)}});
  } else {
    out << json_text(config_to_json(loaded.config));
  }
  return ExitCode::ok;
}

ExitCode check(const ConfigCommand& command, std::ostream& out) {
  ConfigInputs inputs = command.inputs;
  inputs.files.insert(inputs.files.end(), command.words.begin(), command.words.end());
  if (inputs.files.empty()) {
    return usage(command, "config check needs a file", "launch config check run.yaml");
  }
  inputs.fleet_apart = true;
  const FleetFile fleet = read_fleet(inputs);
  LoadedConfig loaded = load_config(inputs);
  loaded.problems.insert(loaded.problems.end(), fleet.problems.begin(), fleet.problems.end());
  if (!loaded.problems.empty()) return report_errors(loaded.problems, command.json);
  if (command.json) {
    out << json_line({{"ok", true}, {"files", inputs.files}}) << "\n";
  } else {
    for (const std::string& file : inputs.files) out << file << ": no problems\n";
  }
  return ExitCode::ok;
}

ExitCode schema(const ConfigCommand& command, std::ostream& out) {
  if (command.format == "text") {
    out << config_help();
  } else if (command.format.empty() || command.format == "json" ||
             command.format == "json-schema") {
    out << json_text(config_schema());
  } else {
    return wrong_format(command, "json, text");
  }
  return ExitCode::ok;
}

// The first comment of a file, which says what it is for; "" if it starts otherwise.
std::string first_comment(const std::filesystem::path& path) {
  const Result<std::string> text = read_file(path);
  if (!text || !text->starts_with("# ")) return {};
  return text->substr(2, text->find('\n') - 2);
}

ExitCode list(const ConfigCommand& command, std::ostream& out) {
  Json answer = Json::array();
  std::size_t width = 0;
  const auto configs = named_configs(command.inputs);
  for (const auto& [name, path] : configs) width = std::max(width, name.size());
  for (const auto& [name, path] : configs) {
    const std::string about = first_comment(path);
    answer.push_back({{"name", name}, {"file", path.string()}, {"about", about}});
    if (!command.json) out << name << std::string(width + 2 - name.size(), ' ') << about << "\n";
  }
  if (command.json) out << json_line(answer) << "\n";
  return ExitCode::ok;
}

}  // namespace

ExitCode config_command(const ConfigCommand& command, std::ostream& out) {
  if (command.verb == "show") return show(command, out);
  if (command.verb == "check") return check(command, out);
  if (command.verb == "schema") return schema(command, out);
  if (command.verb == "list") return list(command, out);
  if (command.verb == "init") {
    out << config_template();
    return ExitCode::ok;
  }
  if (command.verb == "convert") {
    return report_error({ErrorKind::unsupported, "config convert is not built yet",
                         "files of other tools load as they are; config show prints our names"},
                        command.json);
  }
  return usage(command, "config has no verb \"" + command.verb + "\"",
               "one of show, check, schema, init, list");
}

}  // namespace mayfly
