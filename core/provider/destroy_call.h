// The request that ends an instance, written as a curl configuration: for a boot fuse that runs
// where none of our programs does (docs/boot.md).
#pragma once

#include <string>

#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// A file for `curl -K`: `request`, `url`, a `header` each, `data`; first a line "# host NAME PORT"
// with where it goes. It holds a key: readable by root alone, never on a command line.
// Error: usage, when address, key or id hold what cannot stand in such a file (a line break).
Result<std::string> curl_config(const DestroyCall& call, const InstanceId& id);

}  // namespace mayfly
