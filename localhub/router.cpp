#include "localhub/router.h"

#include <optional>

#include "localhub/api.h"

namespace mayfly::localhub {

namespace {

constexpr std::string_view kBadToken = "Invalid credentials in Authorization header";

enum class Caller { nobody, owner, impostor };

Caller caller_of(const Hub& hub, const HubRequest& request) {
  const std::string_view header = request.header("Authorization");
  if (header.empty()) return Caller::nobody;
  return header == "Bearer " + hub.settings.token.reveal() ? Caller::owner : Caller::impostor;
}

HubAnswer token_needed() {
  HubAnswer answer = error_answer(401, "Invalid username or password.");
  answer.headers.push_back({"WWW-Authenticate", "Bearer"});
  return answer;
}

HubAnswer no_repository(Caller caller) {
  // The real hub does not tell strangers what exists.
  return error_answer(caller == Caller::owner ? 404 : 401, "Repository not found", "RepoNotFound");
}

HubAnswer no_such_call(const HubRequest& request) {
  return error_answer(404, "Sorry, we can't find the page you are looking for: " + request.method +
                               " " + request.path);
}

std::optional<RepoKind> kind_of(const std::string& plural) {
  if (plural == "models") return RepoKind::model;
  if (plural == "datasets") return RepoKind::dataset;
  if (plural == "spaces") return RepoKind::space;
  return std::nullopt;
}

std::string join(const std::vector<std::string>& segments, std::size_t from) {
  std::string path;
  for (std::size_t i = from; i < segments.size(); ++i) {
    path += (path.empty() ? "" : "/") + segments[i];
  }
  return path;
}

// GET and HEAD calls below /api/models/owner/name. `rest`: the segments after the name.
HubAnswer read_repository(const Hub& hub, const Repository& repository,
                          const std::vector<std::string>& rest, const HubRequest& request) {
  const std::string call = rest.empty() ? "" : rest[0];
  if (rest.empty()) return repo_info(repository, "main", request.is_true("blobs"));
  if (call == "revision" && rest.size() == 2) {
    return repo_info(repository, rest[1], request.is_true("blobs"));
  }
  if (call == "refs" && rest.size() == 1) {
    return list_refs(repository, request.is_true("include_prs"));
  }
  if (call == "tree" && rest.size() >= 2) {
    return list_files(hub, repository, rest[1], join(rest, 2), request);
  }
  if (call == "commits" && rest.size() == 2) return list_commits(repository, rest[1]);
  return no_such_call(request);
}

// POST, PUT and DELETE calls; the caller has shown the token.
HubAnswer write_repository(Hub& hub, Repository& repository, const std::vector<std::string>& rest,
                           const HubRequest& request) {
  const std::string call = rest.empty() ? "" : rest[0];
  const std::string& method = request.method;
  if (method == "PUT" && call == "settings") return change_settings(hub, repository, request);
  if (rest.size() != 2) return no_such_call(request);
  if (method == "POST" && call == "branch") return create_branch(hub, repository, rest[1], request);
  if (method == "DELETE" && call == "branch") return delete_branch(hub, repository, rest[1]);
  if (method == "POST" && call == "tag") return create_tag(hub, repository, rest[1], request);
  if (method == "DELETE" && call == "tag") return delete_tag(hub, repository, rest[1]);
  if (method == "POST" && call == "preupload") return preupload(hub, repository, rest[1], request);
  if (method == "POST" && call == "super-squash") {
    return squash_branch(hub, repository, rest[1], request);
  }
  if (method == "POST" && call == "commit") {
    if (request.is_true("create_pr")) return error_answer(400, "localhub has no pull requests");
    return make_commit(hub, repository, rest[1], request);
  }
  return no_such_call(request);
}

HubAnswer answer_repo_api(Hub& hub, const HubRequest& request, RepoKind kind, Caller caller) {
  const auto& path = request.segments;  // api, models, owner, name, ...
  const auto name = parse_repo_name(path[2] + "/" + path[3]);
  if (!name) return error_answer(400, name.error().message);
  auto repository = hub.library.find({kind, *name});
  if (!repository || (repository->info().is_private && caller != Caller::owner)) {
    return no_repository(caller);
  }
  const std::vector<std::string> rest(path.begin() + 4, path.end());
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (reads && !rest.empty() && rest[0] == "auth-check") {
    const bool wants_write = rest.size() == 2 && rest[1] == "write";
    if (wants_write && caller != Caller::owner) return token_needed();
    HubAnswer ok;
    ok.content_type = "text/plain";
    ok.body = "OK";
    return ok;
  }
  if (request.method == "POST" && rest.size() == 2 && rest[0] == "paths-info") {
    return paths_info(*repository, rest[1], request);
  }
  if (reads) return read_repository(hub, *repository, rest, request);
  if (caller != Caller::owner) return token_needed();
  return write_repository(hub, *repository, rest, request);
}

HubAnswer answer_api(Hub& hub, const HubRequest& request, Caller caller) {
  const auto& path = request.segments;
  if (path.size() >= 2 && path[1] == "validate-yaml" && request.method == "POST") {
    return validate_card(request);
  }
  const auto kind = path.size() >= 2 ? kind_of(path[1]) : std::nullopt;
  if (kind && path.size() == 2 && request.method == "GET") {
    return list_repos(hub, *kind, caller == Caller::owner);
  }
  if (kind && path.size() >= 4) return answer_repo_api(hub, request, *kind, caller);
  if (caller != Caller::owner) return token_needed();
  if (path.size() == 2 && path[1] == "whoami-v2") return whoami(hub);
  if (path.size() == 3 && path[1] == "repos") {
    if (path[2] == "create" && request.method == "POST") return create_repo(hub, request);
    if (path[2] == "delete" && request.method == "DELETE") return delete_repo(hub, request);
  }
  return no_such_call(request);
}

// /owner/name/resolve/..., /owner/name.git/info/lfs/..., and pages.
HubAnswer answer_web(Hub& hub, const HubRequest& request, Caller caller) {
  std::vector<std::string> path = request.segments;
  RepoKind kind = RepoKind::model;
  if (const auto named = kind_of(path[0]); named && *named != RepoKind::model) {
    kind = *named;
    path.erase(path.begin());
  }
  if (path.size() < 2) return no_such_call(request);
  const bool is_git = path[1].ends_with(".git");
  if (is_git) path[1].resize(path[1].size() - 4);
  const auto name = parse_repo_name(path[0] + "/" + path[1]);
  if (!name) return no_such_call(request);
  auto repository = hub.library.find({kind, *name});
  if (!repository || (repository->info().is_private && caller != Caller::owner)) {
    return no_repository(caller);
  }
  const std::string rest = join(path, 2);
  if (is_git) {
    if (request.method != "POST") return no_such_call(request);
    if (caller != Caller::owner) return token_needed();
    if (rest == "info/lfs/objects/batch") return lfs_batch(hub, request);
    if (rest == "info/lfs/objects/verify") return lfs_verify(hub, request);
    return no_such_call(request);
  }
  if (request.method != "GET" && request.method != "HEAD") return no_such_call(request);
  if (path.size() >= 5 && (path[2] == "resolve" || path[2] == "raw")) {
    return resolve_file(hub, *repository, path[3], join(path, 4), request);
  }
  if (path.size() == 2) return repository_page(hub, *repository, "main");
  if (path.size() == 4 && path[2] == "tree") return repository_page(hub, *repository, path[3]);
  return no_such_call(request);
}

}  // namespace

HubAnswer answer_hub(Hub& hub, const HubRequest& request) {
  const Caller caller = caller_of(hub, request);
  if (caller == Caller::impostor) return error_answer(401, std::string(kBadToken));
  if (request.segments.empty()) {
    if (request.method != "GET" && request.method != "HEAD") return no_such_call(request);
    return overview_page(hub, caller == Caller::owner);
  }
  if (request.segments[0] == "api") return answer_api(hub, request, caller);
  return answer_web(hub, request, caller);
}

}  // namespace mayfly::localhub
