#include <nlohmann/json.hpp>

#include "core/json.h"
#include "localhub/api.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

constexpr std::size_t kMostCommits = 1000;

HubAnswer done() {
  return json_answer(json::object());
}

json describe_file(const std::string& path, const TreeEntry& entry, bool with_sizes) {
  json file = {{"rfilename", path}};
  if (!with_sizes) return file;
  file["size"] = entry.size;
  file["blobId"] = entry.blob_id;
  if (entry.lfs) {
    const auto pointer = static_cast<std::int64_t>(lfs_pointer(entry.sha256, entry.size).size());
    file["lfs"] = {{"sha256", entry.sha256}, {"size", entry.size}, {"pointerSize", pointer}};
  }
  return file;
}

json describe_refs(const std::map<std::string, std::string>& refs, const std::string& prefix) {
  json list = json::array();
  for (const auto& [name, commit] : refs) {
    list.push_back({{"name", name}, {"ref", prefix + name}, {"targetCommit", commit}});
  }
  return list;
}

}  // namespace

HubAnswer repo_info(const Repository& repository, const std::string& revision, bool with_sizes) {
  const auto commit = repository.resolve(revision);
  if (!commit) return revision_not_found(commit.error());
  const RepositoryInfo& info = repository.info();
  json files = json::array();
  for (const auto& [path, entry] : commit->tree) {
    files.push_back(describe_file(path, entry, with_sizes));
  }
  return json_answer({{"_id", commit->id.substr(0, 24)},
                      {"id", info.repo.name.full()},
                      {"modelId", info.repo.name.full()},
                      {"author", info.repo.name.owner},
                      {"sha", commit->id},
                      {"private", info.is_private},
                      {"gated", false},
                      {"disabled", false},
                      {"downloads", 0},
                      {"likes", 0},
                      {"tags", json::array()},
                      {"lastModified", format_utc(commit->date)},
                      {"createdAt", format_utc(info.created_at)},
                      {"siblings", files}});
}

HubAnswer change_settings(Hub& hub, Repository& repository, const HubRequest& request) {
  const json body = body_of(request);
  bool is_private = repository.info().is_private;
  if (body.contains("private") && body["private"].is_boolean()) is_private = body["private"];
  if (body.contains("visibility")) is_private = body["visibility"] == "private";
  const auto lock = hub.library.writing();
  const Status changed = repository.set_private(is_private);
  return changed ? json_answer({{"private", is_private}}) : storage_error(changed.error());
}

HubAnswer list_refs(const Repository& repository, bool with_pull_requests) {
  json refs = {{"branches", describe_refs(repository.branches(), "refs/heads/")},
               {"converts", json::array()},
               {"tags", describe_refs(repository.tags(), "refs/tags/")}};
  if (with_pull_requests) refs["pullRequests"] = json::array();
  return json_answer(refs);
}

HubAnswer create_branch(Hub& hub, Repository& repository, const std::string& branch,
                        const HubRequest& request) {
  const json body = body_of(request);
  const auto lock = hub.library.writing();
  if (body.contains("emptyBranch") && body["emptyBranch"] == true) {
    const Status made =
        repository.create_empty_branch(branch, hub.settings.account, hub.clock.now());
    return made ? done() : storage_error(made.error());
  }
  const std::string start = text_at(body, "startingPoint");
  const auto commit = repository.resolve(start.empty() ? "main" : start);
  if (!commit) return revision_not_found(commit.error());
  if (body.contains("overwrite") && body["overwrite"] == true) {
    if (Status gone = repository.delete_branch(branch);
        !gone && gone.error().kind != ErrorKind::not_found) {
      return storage_error(gone.error());
    }
  }
  const Status made = repository.create_branch(branch, *commit);
  return made ? done() : storage_error(made.error());
}

HubAnswer delete_branch(Hub& hub, Repository& repository, const std::string& branch) {
  const auto lock = hub.library.writing();
  const Status gone = repository.delete_branch(branch);
  if (gone) return done();
  if (gone.error().kind == ErrorKind::not_found) return revision_not_found(gone.error());
  return storage_error(gone.error());
}

HubAnswer create_tag(Hub& hub, Repository& repository, const std::string& revision,
                     const HubRequest& request) {
  const auto commit = repository.resolve(revision);
  if (!commit) return revision_not_found(commit.error());
  const auto lock = hub.library.writing();
  const Status made = repository.create_tag(text_at(body_of(request), "tag"), *commit);
  return made ? done() : storage_error(made.error());
}

HubAnswer delete_tag(Hub& hub, Repository& repository, const std::string& tag) {
  const auto lock = hub.library.writing();
  const Status gone = repository.delete_tag(tag);
  return gone ? done() : revision_not_found(gone.error());
}

HubAnswer list_commits(const Repository& repository, const std::string& revision) {
  const auto head = repository.resolve(revision);
  if (!head) return revision_not_found(head.error());
  json commits = json::array();
  for (const Commit& commit : repository.history(head->id, kMostCommits)) {
    commits.push_back({{"id", commit.id},
                       {"title", commit.summary},
                       {"message", commit.description},
                       {"authors", json::array({{{"user", commit.author}}})},
                       {"date", format_utc(commit.date)}});
  }
  return json_answer(commits);
}

HubAnswer squash_branch(Hub& hub, Repository& repository, const std::string& branch,
                        const HubRequest& request) {
  const std::string asked = text_at(body_of(request), "message");
  const std::string message = asked.empty() ? "Super-squash branch '" + branch + "'" : asked;
  const auto lock = hub.library.writing();
  if (!repository.branches().contains(branch)) {
    return error_answer(404, "Invalid rev id: " + branch, "RevisionNotFound");
  }
  const auto made = repository.squash(branch, message, hub.settings.account, hub.clock.now());
  return made ? done() : storage_error(made.error());
}

}  // namespace mayfly::localhub
