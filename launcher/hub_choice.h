// Where results go: a hub that the user named, or the stand-in on this machine.
//
//   hub.endpoint (or HF_ENDPOINT) with hub.repo   that hub
//   a token and hub.repo                          huggingface.co
//   else                                          localhub, started when it is needed
//
// A token alone does not choose huggingface.co: publishing to a place the user did not name, under
// a name the user did not choose, would be a surprise.
#pragma once

#include <string>
#include <vector>

#include "core/config/hub_config.h"
#include "core/result.h"
#include "core/secret.h"

namespace mayfly {

struct HubChoice {
  bool embedded = false;
  std::string endpoint;  // embedded: where it is or will be
  std::string repo;
  Secret token;                    // embedded: empty until it runs
  std::vector<std::string> notes;  // for the plan
};

// Errors: invalid_config (a hub without a repository), unauthorized (a hub without a token).
Result<HubChoice> choose_hub(const HubConfig& hub, const std::string& run_name, std::int64_t seed);

}  // namespace mayfly
