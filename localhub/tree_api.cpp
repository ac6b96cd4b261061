#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "core/url.h"
#include "localhub/api.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

constexpr std::size_t kMostPaths = 1000;
constexpr std::size_t kHistoryLooked = 1000;  // how far back "last changed in" is searched

json describe(const ListedEntry& entry) {
  if (entry.file == nullptr) {
    return {{"type", "directory"}, {"oid", entry.oid}, {"size", 0}, {"path", entry.path}};
  }
  json file = {
      {"type", "file"}, {"oid", entry.oid}, {"size", entry.file->size}, {"path", entry.path}};
  if (entry.file->lfs) {
    const auto pointer = lfs_pointer(entry.file->sha256, entry.file->size).size();
    file["lfs"] = {
        {"oid", entry.file->sha256}, {"size", entry.file->size}, {"pointerSize", pointer}};
  }
  return file;
}

// The part of a tree at and below a path, to compare it between commits.
Tree part_of(const Tree& tree, const std::string& path) {
  Tree part;
  for (const auto& [name, entry] : tree) {
    if (name == path || name.starts_with(path + "/")) part[name] = entry;
  }
  return part;
}

// For `expand`: the newest commit that changed each entry.
void add_last_commits(json& entries, const std::vector<Commit>& history) {
  for (json& entry : entries) {
    const std::string path = entry["path"];
    for (std::size_t i = 0; i < history.size(); ++i) {
      const bool first = i + 1 == history.size();
      if (!first && part_of(history[i].tree, path) == part_of(history[i + 1].tree, path)) continue;
      entry["lastCommit"] = {{"id", history[i].id},
                             {"title", history[i].summary},
                             {"date", format_utc(history[i].date)}};
      break;
    }
  }
}

}  // namespace

HubAnswer list_files(const Hub& hub, const Repository& repository, const std::string& revision,
                     const std::string& folder, const HubRequest& request) {
  const auto commit = repository.resolve(revision);
  if (!commit) return revision_not_found(commit.error());
  if (!folder.empty() && !has_folder(commit->tree, folder)) {
    return error_answer(404, "\"" + folder + "\" does not exist on \"" + revision + "\"",
                        "EntryNotFound");
  }
  const auto entries = list_tree(commit->tree, folder, request.is_true("recursive"));
  // The cursor is the last path of the page before.
  const auto after = base64_decode(request.parameter("cursor"));
  auto from = entries.begin();
  if (after && !after->empty()) {
    from = std::find_if(entries.begin(), entries.end(),
                        [&](const ListedEntry& entry) { return entry.path > *after; });
  }
  const auto page = std::min<std::ptrdiff_t>(entries.end() - from, hub.settings.page_size);
  json listed = json::array();
  for (auto entry = from; entry != from + page; ++entry) listed.push_back(describe(*entry));
  if (request.is_true("expand")) {
    add_last_commits(listed, repository.history(commit->id, kHistoryLooked));
  }
  HubAnswer answer = json_answer(listed);
  if (from + page != entries.end()) {
    const std::string cursor = base64_encode((from + page - 1)->path);
    answer.headers.push_back(
        {"Link", "<" + hub.endpoint + request.path +
                     "?recursive=" + (request.is_true("recursive") ? "true" : "false") +
                     "&expand=" + (request.is_true("expand") ? "true" : "false") +
                     "&cursor=" + percent_encode(cursor) + ">; rel=\"next\""});
  }
  return answer;
}

HubAnswer paths_info(const Repository& repository, const std::string& revision,
                     const HubRequest& request) {
  const auto commit = repository.resolve(revision);
  if (!commit) return revision_not_found(commit.error());
  std::vector<std::string> paths;
  bool expand = false;
  if (request.header("Content-Type").find("json") != std::string_view::npos) {
    const json body = body_of(request);
    if (body.contains("paths") && body["paths"].is_array()) {
      for (const json& path : body["paths"]) {
        if (path.is_string()) paths.push_back(path);
      }
    }
    expand = body.contains("expand") && body["expand"] == true;
  } else {
    HubRequest form;
    form.query = read_form(request.body);
    const auto [first, last] = form.query.equal_range("paths");
    for (auto it = first; it != last; ++it) paths.push_back(it->second);
    expand = form.is_true("expand");
  }
  if (paths.size() > kMostPaths) return error_answer(413, "too many parameters");
  json listed = json::array();
  for (const std::string& path : paths) {
    if (const auto file = commit->tree.find(path); file != commit->tree.end()) {
      listed.push_back(describe({path, file->second.blob_id, &file->second}));
    } else if (has_folder(commit->tree, path)) {
      listed.push_back(describe({path, git_tree_id(commit->tree, path + "/"), nullptr}));
    }
  }
  if (expand) add_last_commits(listed, repository.history(commit->id, kHistoryLooked));
  return json_answer(listed);
}

}  // namespace mayfly::localhub
