#include "launcher/hub_choice.h"

#include "launcher/embedded_hub.h"

namespace mayfly {

namespace {

constexpr const char* kHuggingFace = "https://huggingface.co";

std::string without_slash(std::string endpoint) {
  while (!endpoint.empty() && endpoint.back() == '/') endpoint.pop_back();
  return endpoint;
}

}  // namespace

Result<HubChoice> choose_hub(const HubConfig& hub, const std::string& run_name, std::int64_t seed) {
  HubChoice choice;
  if (hub.repo) choice.repo = *hub.repo;
  if (hub.repo_prefix) choice.repo = *hub.repo_prefix + "-seed-" + std::to_string(seed);
  const bool named = !choice.repo.empty();
  if (hub.endpoint && !named) {
    return Error{ErrorKind::invalid_config,
                 "hub.endpoint is " + *hub.endpoint + ", but no repository is named",
                 "give --repo owner/name"};
  }
  if (hub.endpoint || (named && !hub.token.empty())) {
    choice.endpoint = without_slash(hub.endpoint.value_or(kHuggingFace));
    choice.token = hub.token;
    if (choice.token.empty()) {
      return Error{ErrorKind::unauthorized, "there is no token for " + choice.endpoint,
                   "set HF_TOKEN to one that may write to " + choice.repo};
    }
    return choice;
  }
  choice.embedded = true;
  choice.endpoint = embedded_hub_endpoint();
  if (!named) choice.repo = "local/" + run_name;
  if (!hub.token.empty()) {
    choice.notes.push_back("HF_TOKEN is set, but no hub.repo: results go to the local hub only");
  }
  return choice;
}

}  // namespace mayfly
