// A loaded config written out in full: config.resolved.yaml in the run directory, and what `config
// show` prints. Loading it again gives the same config; a secret is written as ${NAME}.
#pragma once

#include <string>

#include "core/config/load.h"

namespace mayfly {

// Of a config that is complete, as in a plan. No token: `token: null`, since a plan has none.
std::string resolved_yaml(const RunConfig& config);

// One line a value; with `origins` each has where it came from as a comment.
std::string resolved_yaml(const LoadedConfig& loaded, bool origins);

}  // namespace mayfly
