#include "core/store/hub_upload.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/base64.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::seconds;

namespace {

constexpr std::size_t kFilesPerCall = 100;  // the server takes 256; the JavaScript client sends 100
constexpr std::size_t kSampleBytes = 512;
constexpr std::size_t kMostParts = 10000;  // of a multipart upload, as S3 allows
constexpr int kMostBatches = 5;            // calls for the same objects when storage refuses
constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr const char* kLfsType = "application/vnd.git-lfs+json";

Error odd_answer(const std::string& what) {
  return Error{ErrorKind::corrupt, "the hub's answer makes no sense: " + what};
}

std::string text_at(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found != object.end() && !found->is_null() ? &*found : nullptr;
}

struct LocalFile {
  std::int64_t size = 0;
  std::string sample;
};

Result<LocalFile> look_at(const fs::path& path) {
  std::error_code code;
  const auto size = fs::file_size(path, code);
  std::ifstream in(path, std::ios::binary);
  if (code || !in) {
    return Error{ErrorKind::not_found, "cannot read " + path.string() + " to upload it"};
  }
  LocalFile file{static_cast<std::int64_t>(size), std::string(kSampleBytes, '\0')};
  in.read(file.sample.data(), static_cast<std::streamsize>(kSampleBytes));
  file.sample.resize(static_cast<std::size_t>(in.gcount()));
  return file;
}

// What the hub says about one file of a preupload call.
Result<std::vector<PlannedUpload>> plan_group(HubSession& hub, const std::string& path,
                                              const std::vector<StoreUpload>& files, Retry& retry) {
  json asked = json::array();
  std::map<std::string, PlannedUpload> by_path;
  for (const StoreUpload& file : files) {
    const auto local = look_at(file.source);
    if (!local) return local.error();
    asked.push_back(
        {{"path", file.path}, {"sample", base64_encode(local->sample)}, {"size", local->size}});
    by_path[file.path] = PlannedUpload{file, local->size, false, ""};
  }
  const auto answer = hub.fetch_json(hub.json_request("POST", path, {{"files", asked}}), retry);
  if (!answer) return answer.error();
  const json* told = member(*answer, "files");
  if (told == nullptr || !told->is_array()) return odd_answer("preupload names no files");

  std::vector<PlannedUpload> planned;
  for (const json& entry : *told) {
    const auto found = by_path.find(text_at(entry, "path"));
    if (found == by_path.end()) return odd_answer("preupload names a file that was not asked for");
    PlannedUpload upload = found->second;
    by_path.erase(found);
    const json* ignored = member(entry, "shouldIgnore");
    if (ignored != nullptr && *ignored == true) {
      return Error{ErrorKind::refused, "the repository's .gitignore leaves out " + upload.file.path,
                   "remove that line from the .gitignore, or use another repository"};
    }
    upload.lfs = text_at(entry, "uploadMode") == "lfs" && upload.size > 0;
    const std::string remote = text_at(entry, "oid");
    if (upload.lfs) {
      const auto hash = sha256_file(upload.file.source);
      if (!hash) return hash.error();
      upload.sha256 = *hash;
      if (remote == *hash) continue;
    } else if (!remote.empty()) {
      const auto bytes = read_file(upload.file.source);
      if (!bytes) return bytes.error();
      if (remote == git_blob_id(*bytes)) continue;
    }
    planned.push_back(std::move(upload));
  }
  if (!by_path.empty()) return odd_answer("preupload leaves out " + by_path.begin()->first);
  return planned;
}

// An address of the default hub, when we talk to a mirror of it, means the mirror.
std::string on_our_endpoint(const HubSession& hub, std::string url) {
  const std::string prefix = std::string(kDefaultEndpoint) + "/";
  if (url.rfind(prefix, 0) == 0) url = hub.endpoint() + url.substr(prefix.size() - 1);
  return url;
}

// A request to a signed address: it needs no token, and must not get one.
HttpRequest signed_request(const HubSession& hub, std::string method, const std::string& url) {
  HttpRequest request;
  request.method = std::move(method);
  request.url = on_our_endpoint(hub, url);
  request.total_timeout = hub.patience().deadline;
  request.stall_timeout = hub.patience().stall_timeout;
  return request;
}

// Storage that refuses may only mean that the address has expired, or that an earlier request
// arrived whose answer was lost; the next batch call tells. outcome_unknown marks these.
Result<HttpResponse> ask_storage(HubSession& hub, HttpRequest request, Retry& retry) {
  auto response = hub.fetch(std::move(request), retry);
  const bool refused = !response && (response.error().kind == ErrorKind::refused ||
                                     response.error().kind == ErrorKind::unauthorized ||
                                     response.error().kind == ErrorKind::not_found);
  if (refused) return Error{ErrorKind::outcome_unknown, response.error().message};
  return response;
}

Result<std::string> put_range(HubSession& hub, const PlannedUpload& upload, const std::string& url,
                              std::int64_t offset, std::int64_t size, Retry& retry) {
  HttpRequest request = signed_request(hub, "PUT", url);
  request.body_file = upload.file.source;
  request.body_offset = offset;
  request.body_size = size;
  const auto response = ask_storage(hub, std::move(request), retry);
  if (!response) return response.error();
  retry.made_progress();
  return std::string(response->header("ETag"));
}

// The addresses of the parts, in order. Keys that are numbers, perhaps with zeros in front, name
// parts; others are headers.
Result<std::vector<std::string>> part_urls(const json& header, std::int64_t parts) {
  std::map<int, std::string> urls;
  for (const auto& [key, value] : header.items()) {
    int number = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
    if (error == std::errc() && end == key.data() + key.size() && value.is_string()) {
      urls[number] = value.get<std::string>();
    }
  }
  std::vector<std::string> ordered;
  for (const auto& [number, url] : urls) {
    if (number != static_cast<int>(ordered.size()) + 1) return odd_answer("a part is missing");
    ordered.push_back(url);
  }
  if (static_cast<std::int64_t>(ordered.size()) != parts) {
    return odd_answer("the number of parts does not fit the file's size");
  }
  return ordered;
}

Status put_parts(HubSession& hub, const PlannedUpload& upload, const std::string& completion,
                 const json& header, std::int64_t chunk, Retry& retry) {
  const std::int64_t parts = (upload.size + chunk - 1) / chunk;
  if (parts > static_cast<std::int64_t>(kMostParts)) return odd_answer("too many parts");
  const auto urls = part_urls(header, parts);
  if (!urls) return urls.error();
  json done = json::array();
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t offset = i * chunk;
    const auto etag = put_range(hub, upload, (*urls)[static_cast<std::size_t>(i)], offset,
                                std::min(chunk, upload.size - offset), retry);
    if (!etag) return etag.error();
    done.push_back({{"partNumber", i + 1}, {"etag", *etag}});
  }
  HttpRequest complete = signed_request(hub, "POST", completion);
  complete.stall_timeout = seconds(0);
  complete.headers = {{"Accept", kLfsType}, {"Content-Type", kLfsType}};
  complete.body = json_line({{"oid", upload.sha256}, {"parts", done}});
  const auto answer = ask_storage(hub, std::move(complete), retry);
  return answer ? Status(Unit{}) : Status(answer.error());
}

Status put_object(HubSession& hub, const PlannedUpload& upload, const json& action, Retry& retry) {
  const std::string href = text_at(action, "href");
  if (href.empty()) return odd_answer("an upload has no address");
  const json* header = member(action, "header");
  const std::string chunk_text = header != nullptr ? text_at(*header, "chunk_size") : "";
  if (!chunk_text.empty()) {
    std::int64_t chunk = 0;
    std::from_chars(chunk_text.data(), chunk_text.data() + chunk_text.size(), chunk);
    if (chunk <= 0) return odd_answer("a part size of \"" + chunk_text + "\"");
    return put_parts(hub, upload, href, *header, chunk, retry);
  }
  const auto etag = put_range(hub, upload, href, 0, upload.size, retry);
  return etag ? Status(Unit{}) : Status(etag.error());
}

Status verify_object(HubSession& hub, const PlannedUpload& upload, const json& action,
                     Retry& retry) {
  const std::string href = on_our_endpoint(hub, text_at(action, "href"));
  HttpRequest request =
      hub.json_request("POST", "", json{{"oid", upload.sha256}, {"size", upload.size}});
  if (origin_of(href) != origin_of(hub.endpoint())) {
    std::erase_if(request.headers,
                  [](const HttpHeader& header) { return header.name == "Authorization"; });
  }
  request.url = href;
  const auto answer = hub.fetch(std::move(request), retry);
  return answer ? Status(Unit{}) : Status(answer.error());
}

Result<json> lfs_batch(HubSession& hub, const HubRepo& repo, const std::string& branch,
                       const std::vector<PlannedUpload>& uploads, Retry& retry) {
  json objects = json::array();
  for (const PlannedUpload& upload : uploads) {
    objects.push_back({{"oid", upload.sha256}, {"size", upload.size}});
  }
  HttpRequest request = hub.request("POST", repo.web() + ".git/info/lfs/objects/batch");
  request.headers.push_back({"Accept", kLfsType});
  request.headers.push_back({"Content-Type", kLfsType});
  request.body = json_line({{"operation", "upload"},
                            {"transfers", {"basic", "multipart"}},
                            {"objects", objects},
                            {"hash_algo", "sha256"},
                            {"ref", {{"name", branch}}}});
  return hub.fetch_json(std::move(request), retry);
}

Status send_object(HubSession& hub, const PlannedUpload& upload, const json& object, Retry& retry) {
  if (const json* error = member(object, "error")) {
    return Error{ErrorKind::refused,
                 "the hub does not take " + upload.file.path + ": " + text_at(*error, "message")};
  }
  const json* actions = member(object, "actions");
  const json* action = actions != nullptr ? member(*actions, "upload") : nullptr;
  if (action == nullptr) return Unit{};  // the hub has these bytes
  if (Status put = put_object(hub, upload, *action, retry); !put) return put;
  const json* verify = member(*actions, "verify");
  return verify != nullptr ? verify_object(hub, upload, *verify, retry) : Status(Unit{});
}

Status send_group(HubSession& hub, const HubRepo& repo, const std::string& branch,
                  const std::vector<PlannedUpload>& uploads, Retry& retry) {
  const auto answer = lfs_batch(hub, repo, branch, uploads, retry);
  if (!answer) return answer.error();
  if (const std::string transfer = text_at(*answer, "transfer");
      !transfer.empty() && transfer != "basic" && transfer != "multipart") {
    return Error{ErrorKind::unsupported, "the hub wants the transfer \"" + transfer + "\""};
  }
  const json* objects = member(*answer, "objects");
  if (objects == nullptr || !objects->is_array()) return odd_answer("no objects in the batch");
  for (const PlannedUpload& upload : uploads) {
    const auto object = std::find_if(objects->begin(), objects->end(), [&](const json& one) {
      return text_at(one, "oid") == upload.sha256;
    });
    if (object == objects->end()) return odd_answer("the batch leaves out an object");
    if (Status sent = send_object(hub, upload, *object, retry); !sent) {
      return while_doing("uploading " + upload.file.path, sent.error());
    }
  }
  return Unit{};
}

template <class T>
std::vector<std::vector<T>> in_groups(const std::vector<T>& all) {
  std::vector<std::vector<T>> groups;
  for (std::size_t i = 0; i < all.size(); i += kFilesPerCall) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(i);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kFilesPerCall, all.size() - i));
    groups.emplace_back(first, first + count);
  }
  return groups;
}

}  // namespace

Result<std::vector<PlannedUpload>> plan_uploads(HubSession& hub, const HubRepo& repo,
                                                const std::string& branch,
                                                const std::vector<StoreUpload>& files,
                                                Retry& retry) {
  std::vector<PlannedUpload> all;
  for (const auto& group : in_groups(files)) {
    auto planned =
        plan_group(hub, repo.api() + "/preupload/" + percent_encode(branch), group, retry);
    if (!planned) return planned.error();
    std::move(planned->begin(), planned->end(), std::back_inserter(all));
  }
  std::sort(all.begin(), all.end(), [](const PlannedUpload& a, const PlannedUpload& b) {
    return a.file.path < b.file.path;
  });
  return all;
}

Status send_large_files(HubSession& hub, const HubRepo& repo, const std::string& branch,
                        const std::vector<PlannedUpload>& uploads, Retry& retry) {
  std::vector<PlannedUpload> large;
  for (const PlannedUpload& upload : uploads) {
    if (upload.lfs) large.push_back(upload);
  }
  for (const auto& group : in_groups(large)) {
    for (int attempt = 1;; ++attempt) {
      // A repeated batch call gives fresh addresses, for what has not arrived only.
      const Status sent = send_group(hub, repo, branch, group, retry);
      if (sent) break;
      const bool unclear = sent.error().kind == ErrorKind::outcome_unknown;
      if (unclear && attempt == kMostBatches) {
        return Error{ErrorKind::refused, sent.error().message};
      }
      if (!unclear || !retry.wait()) return sent;
    }
  }
  return Unit{};
}

Result<std::string> commit_body(const std::string& summary,
                                const std::vector<PlannedUpload>& uploads) {
  std::string body =
      json_line({{"key", "header"}, {"value", {{"summary", summary}, {"description", ""}}}});
  for (const PlannedUpload& upload : uploads) {
    json line;
    if (upload.lfs) {
      line = {{"key", "lfsFile"},
              {"value",
               {{"path", upload.file.path},
                {"algo", "sha256"},
                {"oid", upload.sha256},
                {"size", upload.size}}}};
    } else {
      const auto bytes = read_file(upload.file.source);
      if (!bytes) return bytes.error();
      line = {{"key", "file"},
              {"value",
               {{"content", base64_encode(*bytes)},
                {"path", upload.file.path},
                {"encoding", "base64"}}}};
    }
    body += "\n" + json_line(line);
  }
  return body + "\n";
}

}  // namespace mayfly
