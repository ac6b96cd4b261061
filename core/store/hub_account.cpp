#include "core/store/hub_account.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/url.h"

namespace mayfly {

using nlohmann::json;

namespace {

// The part of a document that is an object, or an empty one.
const json& object_at(const json& document, const char* key) {
  static const json none = json::object();
  const bool there = document.is_object() && document.contains(key) && document[key].is_object();
  return there ? document[key] : none;
}

}  // namespace

Result<HubAccount> hub_account(HubSession& hub) {
  Retry retry = hub.start_retry();
  const Result<json> answer = hub.fetch_json(hub.request("GET", "/api/whoami-v2"), retry);
  if (!answer) return while_doing("asking whom the token belongs to", answer.error());
  HubAccount account;
  account.name = text_at(*answer, "name");
  if (account.name.empty()) {
    return Error{ErrorKind::corrupt, "the hub does not say whom the token belongs to"};
  }
  if (answer->contains("orgs") && (*answer)["orgs"].is_array()) {
    for (const json& organization : (*answer)["orgs"]) {
      account.organizations.push_back(text_at(organization, "name"));
    }
  }
  const json& token = object_at(object_at(*answer, "auth"), "accessToken");
  account.role = text_at(token, "role");
  if (const auto expires = parse_utc(text_at(token, "expiration"))) account.expires_at = *expires;
  return account;
}

std::string why_not_write(const HubAccount& account, const RepoName& repo) {
  if (account.role == "read") {
    return "the token of " + account.name + " may only read";
  }
  const auto& member_of = account.organizations;
  const bool owns = repo.owner == account.name ||
                    std::find(member_of.begin(), member_of.end(), repo.owner) != member_of.end();
  // A fine-grained token may be for one repository of somebody else's.
  if (owns || account.role == "fineGrained") return "";
  std::string names = account.name;
  for (const std::string& name : member_of) names += ", " + name;
  return "the token belongs to " + account.name + ", who cannot write to " + repo.owner +
         "'s repositories (only to those of " + names + ")";
}

Result<std::optional<std::string>> adapter_base_of(HubSession& hub, const HubRepo& repo) {
  Retry retry = hub.start_retry();
  HttpRequest request =
      hub.request("GET", "/" + repo.name.full() + "/resolve/main/adapter_config.json");
  constexpr int kRedirects = 5;  // the hub sends small files through its cache
  request.max_redirects = kRedirects;
  const Result<HttpResponse> response = hub.send(std::move(request), retry);
  if (!response) return while_doing("looking at " + repo.name.full(), response.error());
  // Without the right to look, the hub says 401 of what does not exist.
  const bool unknown =
      response->status == 404 || response->header("X-Error-Code") == "RepoNotFound";
  if (unknown) return std::optional<std::string>{};
  if (response->status != 200) {
    return hub_error("looking at the adapter in " + repo.name.full(), *response);
  }
  const Result<json> document = parse_json(response->body, "adapter_config.json");
  if (!document) return document.error();
  const std::string base = text_at(*document, "base_model_name_or_path");
  return base.empty() ? std::optional<std::string>{} : std::optional(base);
}

}  // namespace mayfly
