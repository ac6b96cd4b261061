#include "core/store/file_download.h"

#include <optional>
#include <vector>

#include "core/atomic_file.h"
#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr int kMostRedirects = 5;
// What an earlier process left may be wrong, and so may what arrives now, once.
constexpr int kMostWrongHashes = 3;
// An attempt that brought less than this was none: a server that drips must not be asked for ever.
constexpr std::int64_t kProgressBytes = 64 << 10;

}  // namespace

std::int64_t size_of(const fs::path& path) {
  std::error_code code;
  const auto size = fs::file_size(path, code);
  return code ? 0 : static_cast<std::int64_t>(size);
}

Result<bool> has_content(const fs::path& path, const StoredFile& file) {
  std::error_code code;
  const auto size = fs::file_size(path, code);
  if (code || static_cast<std::int64_t>(size) != file.size) return false;
  if (!file.sha256.empty()) {
    const auto hash = sha256_file(path);
    if (!hash) return hash.error();
    return *hash == file.sha256;
  }
  const auto bytes = read_file(path);
  if (!bytes) return bytes.error();
  return git_blob_id(*bytes) == file.git_blob_id;
}

struct FileDownload::Answer {
  Result<HttpResponse> response;
  bool from_storage = false;  // from where the hub sent us, not from the hub itself

  bool is_ok() const {
    return response && (response->status == 200 || response->status == 206);
  }
  bool is_worth_asking_again() const;
};

bool FileDownload::Answer::is_worth_asking_again() const {
  if (!response) {
    const Error& error = response.error();
    return is_transient(error, true) || error.kind == ErrorKind::corrupt;
  }
  const int status = response->status;
  // Storage answers 403 when a signed address has expired; the hub gives a fresh one. 416: what we
  // had cannot be a part of the file, and has been removed.
  return is_transient_status(status) || status == 416 || (from_storage && status == 403);
}

// Asks for the rest of one file once, following redirects: with the token on the hub itself,
// without it anywhere else.
FileDownload::Answer FileDownload::ask(Retry& retry) {
  HttpRequest request = hub_.request("GET", path_);
  const std::vector<HttpHeader> with_token = request.headers;
  const std::string home = origin_of(hub_.endpoint());
  request.to_file = partial_;
  request.max_file_bytes = file_.size;
  request.stall_timeout = hub_.patience().stall_timeout;
  request.total_timeout = hub_.patience().deadline;
  request.progress = progress_;
  for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
    auto response = hub_.send(request, retry, Repeat::never);
    const bool from_storage = origin_of(request.url) != home;
    if (!response || !is_redirect(response->status)) return {std::move(response), from_storage};
    const auto url = resolve_url(request.url, std::string(response->header("Location")));
    if (!url) return {url.error(), from_storage};
    if (home.rfind("https:", 0) == 0 && url->rfind("http:", 0) == 0) {
      return {Error{ErrorKind::refused, "the hub redirects to an unencrypted address"}, false};
    }
    request.headers = origin_of(*url) == home ? with_token : std::vector<HttpHeader>{};
    request.url = *url;
  }
  return {Error{ErrorKind::refused, "the hub redirects too often"}, false};
}

// Until the file has all its bytes. Progress renews the patience.
Status FileDownload::fetch_bytes() {
  std::optional<Retry> retry(hub_.start_retry());
  std::int64_t before = size_of(partial_);
  if (before == file_.size && file_.size > 0) return Unit{};
  for (;;) {
    const Answer answer = ask(*retry);
    if (answer.is_ok()) return Unit{};
    std::error_code ignored;
    if (answer.response && answer.response->status == 416) fs::remove(partial_, ignored);
    const std::int64_t after = size_of(partial_);
    if (after - before >= kProgressBytes) retry.emplace(hub_.start_retry());
    before = after;
    if (answer.is_worth_asking_again() &&
        retry->wait(answer.response ? asked_wait(*answer.response) : std::nullopt)) {
      continue;
    }
    const std::string doing = "downloading " + file_.path;
    return answer.response ? hub_error(doing, *answer.response)
                           : while_doing(doing, answer.response.error());
  }
}

Status FileDownload::fetch() {
  for (int attempt = 0; attempt < kMostWrongHashes; ++attempt) {
    if (Status complete = fetch_bytes(); !complete) return complete;
    const auto right = has_content(partial_, file_);
    if (!right) return right.error();
    if (*right) return Unit{};
    std::error_code ignored;
    fs::remove(partial_, ignored);
  }
  return Error{ErrorKind::corrupt,
               "downloading " + file_.path + ": what arrives does not have its hash"};
}

}  // namespace mayfly
