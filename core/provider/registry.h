// The table of providers: what each is called, and how to make one.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/provider/cloud_api.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

struct ProviderSettings {
  Price price;  // local: what this machine pretends to cost
  std::filesystem::path state_dir;
  CloudAccess access = {};  // of a cloud
};

// A cloud: a provider that is reached with a key.
struct CloudRow {
  std::string_view name;
  std::string_view endpoint;
  std::string_view key_variable;          // the environment variable with the key
  std::string_view endpoint_variable;     // ... with another address
  std::string_view key_id_variable = {};  // ... with what names the key; "" : keys have no name
};
std::span<const CloudRow> cloud_rows();
std::string cloud_names();  // "shadeform, lambda, lium, aws"

// How long it takes from the destroy call until billing ends, at most; kept free before limits.
// local: 2 s of grace and a few kills, measured under 3 s; attached: 3 s and the removal of a
// folder.
std::chrono::seconds destroying_takes(std::string_view provider);

// The clock outlives the provider. Error: unsupported, naming those there are.
Result<std::unique_ptr<Provider>> make_provider(std::string_view name,
                                                const ProviderSettings& settings, Clock& clock);

}  // namespace mayfly
