#include "core/store/hub.h"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/store/hub_upload.h"
#include "core/url.h"

namespace mayfly {

using nlohmann::json;

namespace {

constexpr int kMostPages = 10000;

bool is_success(const HttpResponse& response) {
  return response.status >= 200 && response.status <= 299;
}

std::int64_t number_of(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

// The address in `<...>; rel="next"`; "" if there is none.
std::string next_page(std::string_view link) {
  for (std::size_t start = link.find('<'); start != std::string_view::npos;
       start = link.find('<', start + 1)) {
    const auto end = link.find('>', start);
    if (end == std::string_view::npos) break;
    const std::string_view parameters = link.substr(end, link.find(',', end) - end);
    if (parameters.find("rel=\"next\"") != std::string_view::npos) {
      return std::string(link.substr(start + 1, end - start - 1));
    }
  }
  return "";
}

// An entry of a tree answer; nullopt for folders.
std::optional<StoredFile> read_tree_entry(const json& entry) {
  if (text_at(entry, "type") != "file") return std::nullopt;
  StoredFile file{text_at(entry, "path"), number_of(entry, "size"), "", text_at(entry, "oid")};
  if (const auto lfs = entry.find("lfs"); lfs != entry.end() && lfs->is_object()) {
    file.sha256 = text_at(*lfs, "oid");
    file.size = number_of(*lfs, "size");
  }
  return file;
}

}  // namespace

Result<std::vector<StoredFile>> list_hub_files(HubSession& hub, const HubRepo& repo,
                                               const std::string& revision, Retry& retry) {
  HttpRequest request = hub.request(
      "GET", repo.api() + "/tree/" + percent_encode(revision) + "?recursive=true&expand=false");
  std::vector<StoredFile> files;
  for (int page = 0; page < kMostPages; ++page) {
    const auto response = hub.fetch(request, retry);
    if (!response) return while_doing("listing the files at " + revision, response.error());
    const auto entries = parse_json(response->body, "file list of the hub");
    if (!entries) return entries.error();
    if (!entries->is_array()) return Error{ErrorKind::corrupt, "the hub's file list is no list"};
    for (const json& entry : *entries) {
      if (auto file = read_tree_entry(entry)) files.push_back(std::move(*file));
    }
    const std::string next = next_page(response->header("Link"));
    if (next.empty()) return files;
    const auto url = resolve_url(request.url, next);
    if (!url) return url.error();
    // The token goes along, so the next page must be on the same hub.
    if (origin_of(*url) != origin_of(hub.endpoint())) {
      return Error{ErrorKind::refused, "the hub's file list continues on another host"};
    }
    request.url = *url;
  }
  return Error{ErrorKind::corrupt, "the hub's file list does not end"};
}

Result<std::string> hub_commit_of(HubSession& hub, const HubRepo& repo, const std::string& revision,
                                  Retry& retry) {
  const auto info = hub.fetch_json(
      hub.request("GET", repo.api() + "/revision/" + percent_encode(revision)), retry);
  if (!info) return while_doing("looking up " + revision, info.error());
  std::string commit = text_at(*info, "sha");
  if (commit.empty()) return Error{ErrorKind::corrupt, "the hub does not say what commit it is at"};
  return commit;
}

HubStore::HubStore(HubSession& hub, HubRepo repo, bool private_repo)
    : hub_(hub), repo_(std::move(repo)), private_repo_(private_repo) {}

Status HubStore::ensure_repository() {
  const std::string doing = "creating the repository " + repo_.name.full();
  Retry retry = hub_.start_retry();
  json body = {{"name", repo_.name.name},
               {"organization", repo_.name.owner},
               {"visibility", private_repo_ ? "private" : "public"}};
  if (repo_.kind != RepoKind::model) body["type"] = repo_kind_name(repo_.kind);
  for (;;) {
    const auto response = hub_.send(hub_.json_request("POST", "/api/repos/create", body), retry);
    if (!response) return while_doing(doing, response.error());
    const int status = response->status;
    const bool busy =
        status == 409 && server_words(*response).find("conflicting operation") != std::string::npos;
    if (busy && retry.wait(asked_wait(*response))) continue;
    if (is_success(*response) || (status == 409 && !busy)) break;
    // A token without the right to create may still write to a repository that exists.
    const bool may_exist = status == 401 || status == 402 || status == 403;
    const bool exists = may_exist && hub_.fetch(hub_.request("GET", repo_.api()), retry);
    if (exists) break;
    return hub_error(doing, *response);
  }
  return check_write_access(retry);
}

Status HubStore::check_write_access(Retry& retry) {
  const auto response = hub_.send(hub_.request("GET", repo_.api() + "/auth-check/write"), retry);
  if (!response) return while_doing("checking the right to write", response.error());
  // Other servers that speak the protocol lack this call; then the first commit will tell.
  const bool unknown_call = response->status == 405 ||
                            (response->status == 404 && response->header("X-Error-Code").empty());
  if (is_success(*response) || unknown_call) return Unit{};
  return hub_error("checking the right to write to " + repo_.name.full(), *response);
}

Status HubStore::ensure_branch(const std::string& branch) {
  if (Status named = check_branch_name(branch); !named) return named;
  if (branch == "main") return Unit{};  // every repository has it
  const std::string doing = "creating the branch " + branch;
  Retry retry = hub_.start_retry();
  for (;;) {
    const auto response =
        hub_.send(hub_.json_request("POST", repo_.api() + "/branch/" + percent_encode(branch),
                                    json::object()),
                  retry);
    if (!response) return while_doing(doing, response.error());
    if (is_success(*response)) return Unit{};
    const std::string words = server_words(*response);
    const bool busy = words.find("in progress") != std::string::npos;
    if (response->status == 409 && !busy) return Unit{};
    if (response->status == 409 && retry.wait(asked_wait(*response))) continue;
    if (response->status == 403 && hub_commit_of(hub_, repo_, branch, retry)) return Unit{};
    return hub_error(doing, *response);
  }
}

// The hub refuses a commit with a bad card; asking first gives the reason in words.
Status HubStore::check_card(const StoreUpload& card, Retry& retry) {
  const auto text = read_file(card.source);
  if (!text) return text.error();
  const auto response =
      hub_.send(hub_.json_request("POST", "/api/validate-yaml",
                                  {{"content", *text}, {"repoType", repo_kind_name(repo_.kind)}}),
                retry);
  if (!response) return while_doing("checking README.md", response.error());
  if (response->status == 404 || response->status == 405) return Unit{};
  if (!is_success(*response)) return hub_error("checking README.md", *response);
  const auto answer = parse_json(response->body, "answer of the hub");
  if (answer && answer->contains("errors") && !(*answer)["errors"].empty()) {
    return Error{ErrorKind::refused, "the hub does not take README.md: " + server_words(*response)};
  }
  return Unit{};
}

Result<StoreCommit> HubStore::commit(const std::string& branch, const std::string& summary,
                                     const std::vector<StoreUpload>& files) {
  Retry retry = hub_.start_retry();
  for (const StoreUpload& file : files) {
    if (Status named = check_repo_path(file.path); !named) return named.error();
  }
  const auto planned = plan_uploads(hub_, repo_, branch, files, retry);
  if (!planned) return planned.error();
  if (planned->empty()) {
    const auto head = hub_commit_of(hub_, repo_, branch, retry);
    if (!head) return head.error();
    return StoreCommit{*head};
  }
  for (const PlannedUpload& upload : *planned) {
    if (upload.file.path != "README.md") continue;
    if (Status card = check_card(upload.file, retry); !card) return card.error();
  }
  if (Status sent = send_large_files(hub_, repo_, branch, *planned, retry); !sent) {
    return sent.error();
  }
  const auto body = commit_body(summary, *planned);
  if (!body) return body.error();
  return send_commit(branch, *body, files, retry);
}

Result<StoreCommit> HubStore::send_commit(const std::string& branch, const std::string& body,
                                          const std::vector<StoreUpload>& files, Retry& retry) {
  const std::string doing = "committing to " + branch;
  HttpRequest request = hub_.request("POST", repo_.api() + "/commit/" + percent_encode(branch));
  request.headers.push_back({"Content-Type", "application/x-ndjson"});
  request.body = body;
  for (;;) {
    const auto response = hub_.send(request, retry, Repeat::never);
    if (response && is_success(*response)) {
      const auto answer = parse_json(response->body, "answer of the hub");
      if (answer && !text_at(*answer, "commitOid").empty()) {
        return StoreCommit{text_at(*answer, "commitOid")};
      }
    }
    const int status = response ? response->status : 0;
    if (response && !is_success(*response) && !is_transient_status(status) && status != 409 &&
        status != 412) {
      return hub_error(doing, *response);
    }
    const bool unreadable = !response && response.error().kind == ErrorKind::corrupt;
    if (!response && !unreadable && !is_transient(response.error(), true)) return response.error();
    // Unless the answer says that nothing was done, it may have been.
    const bool surely_not_made = status == 409 || status == 412 || status == 429 ||
                                 (!response && response.error().kind == ErrorKind::unreachable);
    if (!surely_not_made) {
      const auto listed = list_hub_files(hub_, repo_, branch, retry);
      if (listed && compare_listing(*listed, branch, files)) {
        const auto head = hub_commit_of(hub_, repo_, branch, retry);
        if (head) return StoreCommit{*head};
      }
    }
    if (retry.wait(response ? asked_wait(*response) : std::nullopt)) continue;
    if (!response) return while_doing(doing, response.error());
    return hub_error(doing, *response);
  }
}

Result<std::vector<StoredFile>> HubStore::list(const std::string& revision) {
  Retry retry = hub_.start_retry();
  return list_hub_files(hub_, repo_, revision, retry);
}

Result<std::vector<std::string>> HubStore::branches() {
  Retry retry = hub_.start_retry();
  const auto refs = hub_.fetch_json(hub_.request("GET", repo_.api() + "/refs"), retry);
  if (!refs) return while_doing("listing the branches", refs.error());
  std::vector<std::string> names;
  if (!refs->is_object() || !refs->contains("branches") || !(*refs)["branches"].is_array()) {
    return Error{ErrorKind::corrupt, "the hub names no branches"};
  }
  for (const json& branch : (*refs)["branches"]) names.push_back(text_at(branch, "name"));
  return names;
}

}  // namespace mayfly
