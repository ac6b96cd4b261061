// The places for the work as the agent uses them: the hub first, then what the run file names for
// the case that it fails; and where a base model may come from.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/fetch.h"
#include "core/run/plan.h"
#include "core/secret.h"
#include "core/store/store.h"

namespace mayfly {

struct Publishing {
  // In the order they are tried: the hub's repository, hub.fallback_repo, the bucket. Empty: the
  // plan publishes nothing.
  std::vector<std::shared_ptr<Store>> sinks;
  DownloadModel download;
  DownloadModel download_checkpoint;  // all files
  std::vector<Secret> secrets;        // all there are, to be taken out of logs
};

// The secrets file ({"HF_TOKEN": "...", ...}; read now, never again): every text in it by its name.
// Empty where there is no file. Errors: refused (a file that others may read), corrupt.
Result<std::map<std::string, Secret>> read_secrets(const std::string& path);

// Errors: those of read_secrets; invalid_config (names in the plan); unauthorized (no credentials
// for a place that needs them).
Result<Publishing> open_publishing(const RunPlan& plan, const std::string& secrets_path);

}  // namespace mayfly
