// What a run is called: `<model>-<dataset>-<size>-run<N>`, or what the user said.
//
// The name is a folder's name, part of a branch-less hub repository and of log paths, so it holds
// only letters, digits, '.', '_' and '-', at most 96 of them (the hub's limit for a repository).
// Pure: existing names and the environment are passed in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/run_config.h"
#include "core/result.h"

namespace mayfly {

// The environment's say; empty: not set.
struct RunNameOverrides {
  std::string name;    // FORCE_RUN_NAME: the whole name, over everything else
  std::string index;   // FORCE_RUN_INDEX: the number after "run"
  std::string legacy;  // USE_LEGACY_NAMING: not built, refused
};
// From the process's environment.
RunNameOverrides run_name_overrides();

// Lower case; everything but letters, digits and '.' becomes one '-'; none at the ends.
std::string slug(std::string_view text);

// "smollm2-135m-instruct-train-128": from the last part of model.base, the name of the first data
// file without its extensions, and the number of rows asked for ("full" if all).
std::string run_name_prefix(const RunConfig& config);

// `taken` are names in use: the next N is one more than the highest of the same prefix.
// FORCE_RUN_NAME, then run.name, then the prefix with FORCE_RUN_INDEX or the next index.
// Error: invalid_config, for a name that cannot be used.
Result<std::string> choose_run_name(const RunConfig& config, const std::vector<std::string>& taken,
                                    const RunNameOverrides& overrides);

}  // namespace mayfly
