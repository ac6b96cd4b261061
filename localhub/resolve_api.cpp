#include "core/url.h"
#include "localhub/api.h"
#include "localhub/signed_address.h"

namespace mayfly::localhub {

namespace {

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

bool is_named_by(std::string_view if_none_match, const std::string& etag) {
  return if_none_match == "*" || if_none_match.find(quoted(etag)) != std::string_view::npos;
}

// What a browser should do with the file.
std::string disposition(const std::string& path) {
  const std::string name = percent_encode(path.substr(path.rfind('/') + 1));
  return "inline; filename*=UTF-8''" + name + "; filename=" + quoted(name) + ";";
}

}  // namespace

HubAnswer resolve_file(const Hub& hub, const Repository& repository, const std::string& revision,
                       const std::string& path, const HubRequest& request) {
  const auto commit = repository.resolve(revision);
  if (!commit) return revision_not_found(commit.error());
  const auto found = commit->tree.find(path);
  if (found == commit->tree.end()) {
    HubAnswer missing = error_answer(404, "Entry not found", "EntryNotFound");
    missing.headers.push_back({"X-Repo-Commit", commit->id});  // lets clients remember the absence
    return missing;
  }
  const TreeEntry& entry = found->second;
  const std::string etag = entry.lfs ? entry.sha256 : entry.blob_id;
  HubAnswer answer;
  answer.headers = {{"X-Repo-Commit", commit->id},
                    {"Accept-Ranges", "bytes"},
                    {"Content-Disposition", disposition(path)}};
  if (is_named_by(request.header("If-None-Match"), etag)) {
    answer.status = 304;
    answer.headers.push_back({"ETag", quoted(etag)});
    return answer;
  }
  if (entry.lfs) {
    answer.status = 302;
    answer.content_type = "text/plain; charset=utf-8";
    answer.headers.push_back({"X-Linked-Etag", quoted(etag)});
    answer.headers.push_back({"X-Linked-Size", std::to_string(entry.size)});
    answer.headers.push_back({"ETag", quoted(entry.blob_id)});
    answer.headers.push_back({"Location", signed_address(hub, "GET", "/objects/" + entry.sha256)});
    return answer;
  }
  answer.content_type = "text/plain; charset=utf-8";
  answer.headers.push_back({"ETag", quoted(etag)});
  answer.file = hub.library.objects().path_of(entry.sha256);
  answer.length = entry.size;
  return answer;
}

}  // namespace mayfly::localhub
