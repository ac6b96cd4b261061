#include "localhub/commit.h"

#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "core/hub_names.h"
#include "core/json.h"
#include "core/sha256.h"
#include "localhub/object_store.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

Error wrong(std::size_t line, const std::string& why) {
  return Error{ErrorKind::refused, "line " + std::to_string(line) + " of the commit: " + why};
}

Result<Change> read_file_change(const json& value, const std::string& path) {
  const std::string content = text_at(value, "content");
  if (text_at(value, "encoding") != "base64") return Change(PutFile{path, content});
  const auto bytes = base64_decode(content);
  if (!bytes) return bytes.error();
  return Change(PutFile{path, *bytes});
}

Result<Change> read_change(const std::string& key, const json& value) {
  std::string path = text_at(value, "path");
  if (key == "deletedFolder" && path.ends_with('/')) path.pop_back();
  if (Status named = check_repo_path(path); !named) return named.error();
  if (key == "file") return read_file_change(value, path);
  if (key == "deletedFile") return Change(DeleteFile{path});
  if (key == "deletedFolder") return Change(DeleteFolder{path});
  if (key != "lfsFile") return Error{ErrorKind::refused, "unknown key \"" + key + "\""};
  PutLargeFile large{path, text_at(value, "oid"), -1};
  if (!is_sha256(large.sha256) || text_at(value, "algo") != "sha256") {
    return Error{ErrorKind::refused, "an lfsFile needs algo sha256 and its oid"};
  }
  const auto size = value.find("size");
  if (size != value.end() && size->is_number_integer()) large.size = size->get<std::int64_t>();
  return Change(large);
}

}  // namespace

Commit with_id(Commit commit) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(commit.date).time_since_epoch();
  const std::string who = commit.author + " <" + commit.author + "@localhub> " +
                          std::to_string(seconds.count()) + " +0000";
  std::string text = "tree " + git_tree_id(commit.tree) + "\n";
  if (!commit.parent.empty()) text += "parent " + commit.parent + "\n";
  text += "author " + who + "\ncommitter " + who + "\n\n" + commit.summary + "\n";
  if (!commit.description.empty()) text += "\n" + commit.description + "\n";
  Digest digest(Digest::Kind::sha1);
  digest.update("commit " + std::to_string(text.size()) + '\0');
  digest.update(text);
  commit.id = digest.finish_hex();
  return commit;
}

json commit_to_json(const Commit& commit) {
  json files = json::object();
  for (const auto& [path, entry] : commit.tree) {
    files[path] = {{"size", entry.size},
                   {"sha256", entry.sha256},
                   {"blob_id", entry.blob_id},
                   {"lfs", entry.lfs}};
  }
  return {{"id", commit.id},
          {"parent", commit.parent},
          {"summary", commit.summary},
          {"description", commit.description},
          {"author", commit.author},
          {"date", format_utc(commit.date)},
          {"files", files}};
}

Result<Commit> commit_from_json(const json& value) {
  const Error corrupt{ErrorKind::corrupt, "not a commit of this hub"};
  if (!value.is_object() || !value.contains("files") || !value["files"].is_object()) return corrupt;
  Commit commit{text_at(value, "id"),
                text_at(value, "parent"),
                text_at(value, "summary"),
                text_at(value, "description"),
                text_at(value, "author"),
                {},
                {}};
  const auto date = parse_utc(text_at(value, "date"));
  if (!date || commit.id.size() != 40) return corrupt;
  commit.date = *date;
  for (const auto& [path, file] : value["files"].items()) {
    if (!file.is_object() || !file.contains("size") || !file["size"].is_number_integer() ||
        !file.contains("lfs") || !file["lfs"].is_boolean() || !is_sha256(text_at(file, "sha256"))) {
      return corrupt;
    }
    commit.tree[path] = {file["size"].get<std::int64_t>(), text_at(file, "sha256"),
                         text_at(file, "blob_id"), file["lfs"].get<bool>()};
  }
  return commit;
}

Result<CommitRequest> read_commit_request(std::string_view ndjson) {
  CommitRequest request;
  bool has_header = false;
  for (std::size_t number = 1; !ndjson.empty(); ++number) {
    const auto end = ndjson.find('\n');
    const std::string_view line = ndjson.substr(0, end);
    ndjson = end == std::string_view::npos ? "" : ndjson.substr(end + 1);
    if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    const auto parsed = parse_json(line, "commit");
    if (!parsed) return wrong(number, parsed.error().message);
    if (!parsed->is_object() || !parsed->contains("value") || !(*parsed)["value"].is_object()) {
      return wrong(number, "an object with \"key\" and \"value\" is expected");
    }
    const std::string key = text_at(*parsed, "key");
    const json& value = (*parsed)["value"];
    if (key == "header") {
      has_header = true;
      request.summary = text_at(value, "summary");
      request.description = text_at(value, "description");
      request.parent = text_at(value, "parentCommit");
      continue;
    }
    auto change = read_change(key, value);
    if (!change) return wrong(number, change.error().message);
    request.changes.push_back(std::move(*change));
  }
  if (!has_header || request.summary.empty()) return wrong(1, "a header with a summary is missing");
  return request;
}

}  // namespace mayfly::localhub
