// The hub as the agent uses it: where checkpoints go, and where a base model may come from.
#pragma once

#include <memory>
#include <string>

#include "agent/fetch.h"
#include "core/run/plan.h"
#include "core/secret.h"
#include "core/store/store.h"

namespace mayfly {

struct Publishing {
  std::shared_ptr<Store> store;  // null: the plan publishes nothing
  DownloadModel download;
};

// The token from the secrets file ({"HF_TOKEN": "..."}; read now, never again). Errors: refused (a
// file that others may read), corrupt.
Result<Secret> read_token(const std::string& secrets_path);

Result<Publishing> open_publishing(const RunPlan& plan, const std::string& secrets_path);

}  // namespace mayfly
