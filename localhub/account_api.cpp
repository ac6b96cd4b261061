#include <nlohmann/json.hpp>

#include "core/json.h"
#include "localhub/api.h"
#include "localhub/card.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

Result<HubRepo> repo_of(const Hub& hub, const json& body) {
  HubRepo repo;
  const std::string kind = text_at(body, "type");
  if (kind == "dataset") repo.kind = RepoKind::dataset;
  if (kind == "space") repo.kind = RepoKind::space;
  const std::string organization = text_at(body, "organization");
  const std::string owner = organization.empty() ? hub.settings.account : organization;
  auto name = parse_repo_name(owner + "/" + text_at(body, "name"));
  if (!name) return name.error();
  repo.name = *name;
  return repo;
}

std::string address_of(const Hub& hub, const HubRepo& repo) {
  return hub.endpoint + repo.web();
}

}  // namespace

json body_of(const HubRequest& request) {
  const auto body = parse_json(request.body, "request");
  return body && body->is_object() ? *body : json::object();
}

HubAnswer revision_not_found(const Error& error) {
  return error_answer(404, error.message, "RevisionNotFound");
}

HubAnswer storage_error(const Error& error) {
  switch (error.kind) {
    case ErrorKind::not_found:
      return error_answer(404, error.message, "EntryNotFound");
    case ErrorKind::guard:
      return error_answer(409, error.message);
    case ErrorKind::refused:
    case ErrorKind::invalid_config:
      return error_answer(400, error.message);
    case ErrorKind::no_space:
      return error_answer(507, error.message);
    default:
      return error_answer(500, error.message);
  }
}

HubAnswer whoami(const Hub& hub) {
  return json_answer({{"type", "user"},
                      {"id", "localhub"},
                      {"name", hub.settings.account},
                      {"fullname", hub.settings.account},
                      {"isPro", false},
                      {"orgs", json::array()},
                      {"auth",
                       {{"type", "access_token"},
                        {"accessToken", {{"displayName", "localhub"}, {"role", "write"}}}}}});
}

HubAnswer create_repo(Hub& hub, const HubRequest& request) {
  const json body = body_of(request);
  const auto repo = repo_of(hub, body);
  if (!repo) return error_answer(400, repo.error().message);
  // 2.x sends "visibility", 0.x sends "private".
  const bool is_private = text_at(body, "visibility") == "private" ||
                          (body.contains("private") && body["private"] == true);
  const auto lock = hub.library.writing();
  const auto made = hub.library.create(*repo, is_private, hub.settings.account, hub.clock.now());
  const json described = {
      {"url", address_of(hub, *repo)}, {"name", repo->name.full()}, {"private", is_private}};
  if (made) return json_answer(described);
  if (made.error().kind != ErrorKind::guard) return storage_error(made.error());
  // The client reads the address of what exists from the refusal.
  HubAnswer answer = error_answer(409, made.error().message);
  json refusal = described;
  refusal["error"] = made.error().message;
  answer.body = json_line(refusal);
  return answer;
}

HubAnswer delete_repo(Hub& hub, const HubRequest& request) {
  const auto repo = repo_of(hub, body_of(request));
  if (!repo) return error_answer(400, repo.error().message);
  const auto lock = hub.library.writing();
  if (!hub.library.remove(*repo)) {
    return error_answer(404, "Repository not found", "RepoNotFound");
  }
  return json_answer(json::object());
}

HubAnswer validate_card(const HubRequest& request) {
  const CardProblems problems = check_card(text_at(body_of(request), "content"));
  json errors = json::array();
  json warnings = json::array();
  for (const std::string& error : problems.errors) errors.push_back({{"message", error}});
  for (const std::string& warning : problems.warnings) warnings.push_back({{"message", warning}});
  return json_answer({{"errors", errors}, {"warnings", warnings}}, errors.empty() ? 200 : 400);
}

HubAnswer list_repos(const Hub& hub, RepoKind kind, bool with_private) {
  json repos = json::array();
  for (const Repository& repository : hub.library.all()) {
    const RepositoryInfo& info = repository.info();
    if (info.repo.kind != kind || (info.is_private && !with_private)) continue;
    const auto head = repository.resolve("main");
    repos.push_back({{"id", info.repo.name.full()},
                     {"private", info.is_private},
                     {"createdAt", format_utc(info.created_at)},
                     {"lastModified", format_utc(head ? head->date : info.created_at)},
                     {"sha", head ? head->id : ""},
                     {"downloads", 0},
                     {"likes", 0},
                     {"tags", json::array()}});
  }
  return json_answer(repos);
}

}  // namespace mayfly::localhub
