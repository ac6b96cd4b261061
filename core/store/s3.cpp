#include "core/store/s3.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "core/http/xml_text.h"
#include "core/hub_names.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/store/s3_upload.h"
#include "core/url.h"

namespace mayfly {

using nlohmann::json;

namespace {

constexpr const char* kManifest = "mayfly-manifest.json";
constexpr std::int64_t kReadBytes = 8 << 20;

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Keys come percent-encoded, and with + for a space.
std::string decoded_key(std::string text) {
  std::replace(text.begin(), text.end(), '+', ' ');
  const auto plain = percent_decode(text);
  return plain ? *plain : text;
}

// The branch of a commit's id, or of itself.
std::string branch_of(const std::string& revision) {
  return revision.substr(0, revision.rfind('@'));
}

}  // namespace

Status S3Store::ensure_repository() {
  Retry retry = s3_.start_retry();
  const std::string key = ".write-check";
  const std::string doing = "checking the right to write to s3://" + s3_.place().bucket;
  const auto begun =
      s3_.fetch(s3_.request("POST", key, "uploads="), std::string(kEmptyPayload), retry);
  if (!begun) return while_doing(doing, begun.error());
  const std::string upload = xml_text(begun->body, "UploadId");
  const auto ended = s3_.fetch(s3_.request("DELETE", key, "uploadId=" + percent_encode(upload)),
                               std::string(kEmptyPayload), retry);
  return ended ? Status(Unit{}) : Status(while_doing(doing, ended.error()));
}

Status S3Store::ensure_branch(const std::string& branch) {
  return check_branch_name(branch);
}

Result<StoreCommit> S3Store::commit(const std::string& branch, const std::string& summary,
                                    const std::vector<StoreUpload>& files) {
  Retry retry = s3_.start_retry();
  json listed = json::object();
  for (const StoreUpload& file : files) {
    if (Status named = check_repo_path(file.path); !named) return named.error();
    const Result<std::string> hash = sha256_file(file.source);
    if (!hash) return hash.error();
    std::error_code code;
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file.source, code));
    listed[file.path] = {{"size", size}, {"sha256", *hash}};
    if (Status put = put_file(branch + "/" + file.path, file, retry); !put) {
      return while_doing("uploading " + file.path, put.error());
    }
  }
  const std::string manifest = json_text({{"v", 1}, {"summary", summary}, {"files", listed}});
  if (Status put = put_text(branch + "/" + kManifest, manifest, retry); !put) {
    return while_doing("uploading the manifest", put.error());
  }
  return StoreCommit{branch + "@" + sha256_hex(manifest)};
}

// What the bucket has already is not sent again.
Status S3Store::put_file(const std::string& key, const StoreUpload& file, Retry& retry) {
  const Result<StoredFile> there = look_at(key, retry);
  if (!there && there.error().kind != ErrorKind::not_found) return there.error();
  if (there) {
    StoredFile stored = *there;
    stored.path = file.path;
    if (compare_listing({stored}, "", {file})) return Unit{};
  }
  return put_s3_object(s3_, file.source, key, retry);
}

Status S3Store::put_text(const std::string& key, const std::string& text, Retry& retry) {
  HttpRequest request = s3_.request("PUT", key, "");
  request.body = text;
  const std::string hash = sha256_hex(text);
  request.headers.push_back({"x-amz-checksum-sha256", base64_encode(from_hex(hash))});
  const auto sent = s3_.fetch(std::move(request), hash, retry);
  return sent ? Status(Unit{}) : Status(sent.error());
}

Result<StoredFile> S3Store::look_at(const std::string& key, Retry& retry) {
  HttpRequest request = s3_.request("HEAD", key, "");
  request.headers.push_back({"x-amz-checksum-mode", "ENABLED"});
  const auto head = s3_.fetch(std::move(request), std::string(kEmptyPayload), retry);
  if (!head) return head.error();
  StoredFile file{key, number(head->header("Content-Length")), "", ""};
  std::string checksum(head->header("x-amz-checksum-sha256"));
  // Of an object in parts: "<hash of hashes>-<number of parts>"; some servers leave out the number.
  const bool in_parts = checksum.find('-') != std::string::npos ||
                        head->header("x-amz-checksum-type") == "COMPOSITE" ||
                        head->header("ETag").find('-') != std::string_view::npos;
  if (in_parts) {
    checksum.resize(std::min(checksum.size(), checksum.find('-')));
    file.part_bytes = number(head->header("x-amz-meta-part-bytes"));
    if (file.part_bytes <= 0) checksum.clear();  // somebody else's
  }
  if (const auto raw = base64_decode(checksum); raw && raw->size() == 32) {
    file.sha256 = to_hex(*raw);
    return file;
  }
  file.part_bytes = 0;
  const auto hash = hash_by_reading(key, file.size, retry);
  if (!hash) return hash.error();
  file.sha256 = *hash;
  return file;
}

Result<std::string> S3Store::hash_by_reading(const std::string& key, std::int64_t size,
                                             Retry& retry) {
  Digest digest;
  for (std::int64_t at = 0; at < size; at += kReadBytes) {
    const std::int64_t last = std::min(size, at + kReadBytes) - 1;
    HttpRequest request = s3_.request("GET", key, "");
    request.headers.push_back(
        {"Range", "bytes=" + std::to_string(at) + "-" + std::to_string(last)});
    request.total_timeout = s3_.patience().deadline;
    request.stall_timeout = s3_.patience().stall_timeout;
    const auto piece = s3_.fetch(std::move(request), std::string(kEmptyPayload), retry);
    if (!piece) return piece.error();
    if (piece->body_bytes != last - at + 1) {
      return Error{ErrorKind::corrupt, "S3 sent another part of " + key + " than was asked for"};
    }
    digest.update(piece->body);
    retry.made_progress();
  }
  return digest.finish_hex();
}

Result<std::vector<std::string>> S3Store::keys_under(const std::string& folder, bool folders_only,
                                                     Retry& retry) {
  const std::string prefix = s3_.place().prefix + folder;
  const std::string query = "encoding-type=url&list-type=2&prefix=" + percent_encode(prefix) +
                            (folders_only ? "&delimiter=%2F" : "");
  std::vector<std::string> keys;
  std::string token;
  constexpr int kMostPages = 1000;
  for (int page = 0; page < kMostPages; ++page) {
    const std::string from = token.empty() ? "" : "&continuation-token=" + percent_encode(token);
    const auto answer =
        s3_.fetch(s3_.request("GET", "", query + from), std::string(kEmptyPayload), retry);
    if (!answer) return answer.error();
    const char* const entry = folders_only ? "CommonPrefixes" : "Contents";
    for (const std::string_view block : xml_blocks(answer->body, entry)) {
      const std::string key = decoded_key(xml_text(block, folders_only ? "Prefix" : "Key"));
      if (key.starts_with(prefix)) keys.push_back(key.substr(prefix.size()));
    }
    if (xml_text(answer->body, "IsTruncated") != "true") return keys;
    token = xml_text(answer->body, "NextContinuationToken");
    if (token.empty()) break;
  }
  return Error{ErrorKind::corrupt, "the listing of s3://" + s3_.place().bucket + " does not end"};
}

Result<std::vector<StoredFile>> S3Store::list(const std::string& revision) {
  Retry retry = s3_.start_retry();
  const std::string folder = branch_of(revision) + "/";
  const auto names = keys_under(folder, false, retry);
  if (!names) return while_doing("listing " + folder, names.error());
  std::vector<StoredFile> files;
  for (const std::string& name : *names) {
    auto file = look_at(folder + name, retry);
    if (!file) return while_doing("listing " + folder, file.error());
    const bool is_commit = revision.find('@') != std::string::npos;
    if (name == kManifest) {
      // Another commit's manifest: this revision is not what is there any more.
      if (is_commit && revision != branch_of(revision) + "@" + file->sha256) {
        return Error{ErrorKind::corrupt, "the manifest of " + folder + " is another commit's"};
      }
      continue;
    }
    file->path = name;
    files.push_back(std::move(*file));
  }
  return files;
}

Result<std::vector<std::string>> S3Store::branches() {
  Retry retry = s3_.start_retry();
  auto names = keys_under("", true, retry);
  if (!names) return while_doing("listing the branches", names.error());
  for (std::string& name : *names) {
    if (!name.empty() && name.back() == '/') name.pop_back();
  }
  return names;
}

}  // namespace mayfly
