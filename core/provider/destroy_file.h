// The request that ends an instance, as the files that its own boot fuse reads (docs/boot.md): it
// has to work when none of our programs does, so it is data for curl.
#pragma once

#include <filesystem>
#include <string>

#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// A curl configuration (curl(1), -K) of `call` for `id`, and the line that lets the watchdog
// remember the host's address. Error: invalid_config (a line break in a value, or an address
// without a host).
Result<std::string> destroy_config(const DestroyCall& call, const InstanceId& id);

// The texts of both; "" : there is no such file. Errors: those of destroy_config.
struct DestroyFiles {
  std::string request;    // destroy.curl
  std::string power_off;  // destroy.power-off
};
Result<DestroyFiles> destroy_files(Provider& provider, const InstanceId& id);

// Writes destroy.curl (0600) into `folder`, where the provider has such a request, and
// destroy.power-off where a machine that is off costs nothing (or its end was read back); removes
// what does not hold. Errors: those of destroy_config, no_space, refused.
Status write_destroy_files(const std::filesystem::path& folder, Provider& provider,
                           const InstanceId& id);

}  // namespace mayfly
