// A machine that runs already and is not ours (instance.host): how it is reached, what it is, and
// the provider of runs on such hosts. Nothing is created there but ~/.mayfly/<run id>; see
// core/provider/attached.h.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "launcher/desk.h"
#include "launcher/ssh_link.h"
#include "launcher/state_file.h"

namespace mayfly {

// instance.host with the user and port of `ssh`, where it does not have its own. Errors:
// invalid_config (no host, two ports).
Result<SshHost> attached_host(const RunConfig& config);

// What the host is, by one look over SSH, which changes nothing there.
struct HostFacts {
  Offer offer;                     // GPU, memory, free disk at the home folder; the price is 0
  std::vector<std::string> lacks;  // programs that the run needs there
  int runs = 0;                    // of ours that are there
};
// Errors: unreachable (with ssh's words), refused (no sense in the answer).
Result<HostFacts> look_at_host(const SshHost& host, const std::filesystem::path& state_dir);
// Pure: of what the look printed.
Result<HostFacts> host_facts(const std::string& text, const std::string& address);

// The runs of the list that are on such hosts and may go on.
Result<std::unique_ptr<Provider>> attached_runs(const Desk& desk);

// To the machine of a run, rented or attached. Errors: those of SshLink.
Result<SshLink> link_of(const KnownRun& run, const std::filesystem::path& state_dir);

}  // namespace mayfly
