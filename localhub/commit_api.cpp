#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "core/json.h"
#include "localhub/api.h"
#include "localhub/card.h"
#include "localhub/upload_mode.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

constexpr std::size_t kMostFilesPerCall = 256;

std::string attributes_at(const Hub& hub, const Tree& tree) {
  const auto entry = tree.find(".gitattributes");
  if (entry == tree.end()) return "";
  const auto text = hub.library.objects().read(entry->second.sha256);
  return text ? *text : "";
}

// Why the hub does not take this content; "" if it does. The real one looks for any valid token,
// this one for its own.
std::string refusal_of(const Hub& hub, const CommitRequest& commit) {
  for (const Change& change : commit.changes) {
    const auto* put = std::get_if<PutFile>(&change);
    if (put == nullptr) continue;
    if (!hub.settings.token.empty() &&
        put->bytes.find(hub.settings.token.reveal()) != std::string::npos) {
      return "It appears that one or more of your files contain valid Hugging Face secrets, such "
             "as "
             "tokens or API keys: " +
             put->path;
    }
    if (put->path == "README.md") {
      const CardProblems problems = check_card(put->bytes);
      if (!problems.errors.empty()) return "Invalid metadata in README.md: " + problems.errors[0];
    }
  }
  return "";
}

}  // namespace

HubAnswer preupload(const Hub& hub, const Repository& repository, const std::string& branch,
                    const HubRequest& request) {
  const auto commit = repository.resolve(branch);
  if (!commit) return revision_not_found(commit.error());
  const json body = body_of(request);
  if (!body.contains("files") || !body["files"].is_array()) {
    return error_answer(400, "\"files\" is required");
  }
  if (body["files"].size() > kMostFilesPerCall) return error_answer(413, "too many files");
  const std::string attributes = attributes_at(hub, commit->tree);
  json files = json::array();
  for (const json& asked : body["files"]) {
    const std::string path = text_at(asked, "path");
    if (Status named = check_repo_path(path); !named) {
      return error_answer(400, named.error().message);
    }
    const auto sample = base64_decode(text_at(asked, "sample"));
    if (!sample || !asked.contains("size") || !asked["size"].is_number_integer()) {
      return error_answer(400, "\"" + path + "\" needs a sample in base64 and a size");
    }
    const bool lfs = goes_by_lfs(attributes, path, asked["size"].get<std::int64_t>(), *sample,
                                 hub.settings.lfs_above_bytes);
    json told = {{"path", path}, {"uploadMode", lfs ? "lfs" : "regular"}, {"shouldIgnore", false}};
    if (const auto there = commit->tree.find(path); there != commit->tree.end()) {
      told["oid"] = there->second.lfs ? there->second.sha256 : there->second.blob_id;
    }
    files.push_back(told);
  }
  return json_answer({{"files", files}, {"commitOid", commit->id}});
}

HubAnswer make_commit(Hub& hub, Repository& repository, const std::string& branch,
                      const HubRequest& request) {
  const auto lock = hub.library.writing();
  if (!repository.branches().contains(branch)) {
    return error_answer(404, "Invalid rev id: " + branch, "RevisionNotFound");
  }
  const auto commit = read_commit_request(request.body);
  if (!commit) return error_answer(400, commit.error().message);
  if (const std::string refusal = refusal_of(hub, *commit); !refusal.empty()) {
    return error_answer(400, refusal);
  }
  const auto made = repository.apply(branch, *commit, hub.settings.account, hub.clock.now());
  if (!made && made.error().kind == ErrorKind::guard) {
    return error_answer(412, made.error().message);
  }
  if (!made) return storage_error(made.error());
  return json_answer(
      {{"success", true},
       {"commitOid", made->id},
       {"commitUrl", hub.endpoint + repository.info().repo.web() + "/commit/" + made->id},
       {"hookOutput", ""}});
}

}  // namespace mayfly::localhub
