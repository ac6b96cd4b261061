// What a rented machine runs, as one file: agent and train, packed (.tar.gz), known by its SHA-256,
// which stands in the machine's start-up file. Whatever way it comes, the machine takes no other.
//
// Ways: from an address (agent.url with agent.sha256, such as one that `launch bundle push`
// printed), or over SSH from this laptop, where nothing is configured.
#pragma once

#include <filesystem>
#include <string>

#include "core/config/agent_config.h"
#include "core/result.h"
#include "core/run/plan.h"

namespace mayfly {

struct Bundle {
  std::filesystem::path file;  // in the cache folder, named by its hash
  std::string sha256;
};

// Packs agent and train of the folder; a bundle of the same programs is packed once. Costs some
// tenths of a second. Errors: not_found (a program is missing), no_space, refused.
Result<Bundle> make_bundle(const std::filesystem::path& programs,
                           const std::filesystem::path& cache);

// What the plan says of it. With agent.url nothing is packed. Errors: invalid_config (an address
// without a hash, or one that the machine cannot reach); those of make_bundle.
Result<PlannedProgram> planned_bundle(const AgentConfig& config,
                                      const std::filesystem::path& programs,
                                      const std::filesystem::path& cache);

// The address of a program that the launcher brings itself.
constexpr const char* kOverSsh = "ssh:";

}  // namespace mayfly
