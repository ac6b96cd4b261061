// Reads the configuration from everywhere it may stand:
//
//   command line (flags and --set, the later wins)
//   > environment MAYFLY_<SECTION>_<KEY>
//   > files of -c, left to right, each laid over the ones before, map by map
//   > profile $XDG_CONFIG_HOME/mayfly/config.yaml
//   > HF_TOKEN and HF_ENDPOINT, for hub.token and hub.endpoint
//   > the defaults in the structs.
//
// It is layers of (path, value, origin) laid over each other, then one typed read. All problems are
// found in one go; a config with problems must not be used. A null sets a field back to its
// default. In files and on the command line ${NAME} is an environment variable; a .env file in the
// working directory fills in those that are unset.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/environment.h"
#include "core/config/run_config.h"
#include "core/result.h"

namespace mayfly {

// A value from the command line. For --set the path is empty and the text is "train.epochs=3".
struct CommandLineValue {
  std::string path;      // "train.epochs"
  std::string text;      // as typed; lists with commas, or as in YAML
  std::string spelling;  // "--epochs": how messages name it
};

struct ConfigInputs {
  std::vector<std::string> files = {};              // of -c: a path, or a name (find_config_file)
  std::vector<CommandLineValue> command_line = {};  // in the order typed
  Environment environment = {};
  std::filesystem::path working_directory = ".";  // where .env and configs/ are looked for
  // The sections fleet and sweep of files are read elsewhere (core/config/fleet_file.h). False:
  // they are problems, since a run of one machine would leave them out.
  bool fleet_apart = false;
  // False: a config without base model and data is no problem, for `config show`.
  bool must_be_complete = true;
};

// The inputs of this process: its environment, no files, no command line.
ConfigInputs process_inputs();

// Where a value came from.
struct Origin {
  enum class Layer { standard, well_known, profile, file, environment, command_line };
  Layer layer = Layer::standard;
  FileLocation at = {};       // of a file or the profile
  std::string name = {};      // "--epochs", "--set", "MAYFLY_TRAIN_EPOCHS", "HF_TOKEN"
  std::string written = {};   // the key it was given under, when not its own: "experiment.epochs"
  std::string variable = {};  // NAME, when the value is ${NAME}; a secret is shown as that
};
// "default", "run.yaml:3:5", "--epochs", "MAYFLY_TRAIN_EPOCHS"; with " as experiment.epochs".
std::string origin_text(const Origin& origin);

struct LoadedConfig {
  RunConfig config;
  std::map<std::string, Origin> origins;  // of every path that is not at its default
  std::vector<Error> problems;  // invalid_config, not_found or usage; empty: it may be used
};

LoadedConfig load_config(const ConfigInputs& inputs);

// Whether the environment variable sets a field: MAYFLY_LIMITS_SPEND_LIMIT and the like.
bool sets_field(const std::string& variable);

// The file that -c means: `name` itself if it is a file, else configs/<name>.yaml in the working
// directory, else in $XDG_CONFIG_HOME/mayfly/configs. Error: not_found, listing what there is.
Result<std::filesystem::path> find_config_file(const std::string& name, const ConfigInputs& inputs);
// The names that find_config_file knows, sorted, with their files.
std::map<std::string, std::filesystem::path> named_configs(const ConfigInputs& inputs);

}  // namespace mayfly
