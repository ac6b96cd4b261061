// The words of `launch` and `status`: verbs, flags, help. Reads the command line into values and
// does nothing else.
//
// Flags for config fields come from the fields' own descriptions (core/config/field.h), so there is
// no second list of them. What features.md names and this version does not do is refused by name.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/load.h"
#include "core/provider/offer_choice.h"
#include "core/result.h"
#include "core/terminal.h"
#include "core/usd.h"
#include "launcher/verbs.h"

namespace mayfly {

struct CommonFlags {
  std::vector<std::string> config_files;
  std::vector<CommandLineValue> settings;  // the later one wins
  bool json = false;
  bool yes = false;
  int verbosity = 0;  // -q: -1, -v: 1, -vv: 2
  ColorChoice color = ColorChoice::automatic;
  std::filesystem::path state_file;  // empty: the default
  std::filesystem::path log_file;    // empty: none
};

struct RunFlags {
  bool dry_run = false;    // `launch plan` sets it too
  bool user_data = false;  // print the rendered cloud-init instead of the plan
  bool follow = false;
  bool wait = false;
  bool destroy = false;                         // not a run at all: as `launch down`
  std::string resume;                           // a run, to go on with as `launch resume`
  bool all_configs = false;                     // offers with 1, 2, 4 and 8 GPUs
  std::optional<std::chrono::seconds> timeout;  // of --wait and --follow
};

struct DownFlags {
  bool all = false;
  bool orphans = false;  // as `launch reap`
  bool now = false;      // of stop
};

struct ExtendFlags {
  double hours = 0;
  Usd spend;
};

struct LogsFlags {
  bool follow = false;
  std::optional<long long> tail;
  std::string save;   // folder
  std::string stage;  // "train", "agent"; empty: both
};

struct StatusFlags {
  std::optional<std::chrono::seconds> watch;
  bool all = false;  // runs that are gone, too
};

struct OffersFlags {
  OfferWish wish;
  bool all_configs = false;  // 1, 2, 4 and 8 GPUs
  bool wide = false;
  bool all = false;  // every row
  bool select = false;
  std::string fits;  // a model: its folder or hub id
};

struct DataFlags {
  std::int64_t rows = 3;  // of preview; 0: all
};

struct ApplyFlags {
  bool deploy_only = false;
  bool no_deploy = false;
  bool no_sync = false;
  bool no_setup = false;
  bool prune = true;
};

struct ConfigFlags {
  bool origin = false;
  std::string format;
};

struct CommandLine {
  std::string verb = "run";
  CommonFlags common;
  RunFlags run;
  DownFlags down;
  ExtendFlags extend;
  LogsFlags logs;
  StatusFlags status;
  ConfigFlags config;
  DataFlags data;
  OffersFlags offers;
  ApplyFlags apply;
  std::vector<std::string> words;           // positional: runs, a shell, what config is to do
  std::vector<std::string> remote_command;  // of ssh, behind "--"
  std::string to;                           // of pull
  std::string from;                         // of resume: a branch
  bool verify = false;                      // of receipt
  bool is_private = false;                  // of hub create
  // Help or version: print it on standard output and exit 0.
  std::string show;
};

// Errors: usage, with the nearest flag or verb; unsupported for what is not built yet.
Result<CommandLine> parse_launch(const std::vector<std::string>& arguments);
Result<CommandLine> parse_status(const std::vector<std::string>& arguments);

// Whether --json stands among them: errors of parsing are reported in the form that was asked for.
bool wants_json(const std::vector<std::string>& arguments);

// All names of a verb's flags, long and short, with their dashes.
std::vector<std::string> flag_names_of(const Verb& verb);

}  // namespace mayfly
