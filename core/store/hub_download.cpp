#include "core/store/hub_download.h"

#include <algorithm>
#include <optional>

#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/sha256.h"
#include "core/store/hub.h"
#include "core/url.h"

namespace mayfly {

namespace fs = std::filesystem;
using std::chrono::seconds;

namespace {

constexpr int kMostRedirects = 5;
constexpr int kMostWrongHashes = 2;

bool is_redirect(int status) {
  return status >= 301 && status <= 308 && status != 304;
}

std::string hash_of(const StoredFile& file) {
  return file.sha256.empty() ? file.git_blob_id : file.sha256;
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

bool is_wanted(const std::string& path, const std::vector<std::string>& allow) {
  if (allow.empty()) return true;
  for (const std::string& pattern : allow) {
    if (::fnmatch(pattern.c_str(), path.c_str(), 0) == 0) return true;
  }
  return false;
}

// The names come from the server: none may lead out of the folder, nor through a link in it.
Status check_target(const fs::path& folder, const StoredFile& file) {
  const std::string& path = file.path;
  if (Status named = check_repo_path(path); !named) {
    return Error{ErrorKind::refused,
                 "the hub lists a file we do not write: " + named.error().message};
  }
  // The hash is the name of the partial file.
  const std::string hash = hash_of(file);
  const bool is_hash = (hash.size() == 40 || hash.size() == 64) &&
                       hash.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hash || file.size < 0) {
    return Error{ErrorKind::refused, "the hub lists " + path + " without a usable hash"};
  }
  fs::path place = folder;
  for (const fs::path& part : fs::path(path)) {
    if (part == ".download") return Error{ErrorKind::refused, "the hub lists a file in .download/"};
    place /= part;
    std::error_code code;
    if (fs::is_symlink(place, code)) {
      return Error{ErrorKind::refused,
                   place.string() + " is a link; files are not written through links"};
    }
  }
  return Unit{};
}

Status check_space(const fs::path& folder, std::int64_t bytes) {
  std::error_code code;
  const fs::space_info space = fs::space(folder, code);
  if (code || static_cast<std::int64_t>(space.available) >= bytes) return Unit{};
  return Error{ErrorKind::no_space, "downloading to " + folder.string() + " needs " +
                                        std::to_string(bytes >> 20) + " MiB, and " +
                                        std::to_string(space.available >> 20) + " MiB are free"};
}

Status put_in_place(const fs::path& partial, const fs::path& target) {
  if (Status made = make_folders(target.parent_path()); !made) return made;
  const int fd = ::open(partial.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
  std::error_code code;
  fs::rename(partial, target, code);
  if (code) {
    return Error{ErrorKind::refused, "renaming to " + target.string() + ": " + code.message()};
  }
  return Unit{};
}

std::int64_t size_of(const fs::path& path) {
  std::error_code code;
  const auto size = fs::file_size(path, code);
  return code ? 0 : static_cast<std::int64_t>(size);
}

struct Answer {
  Result<HttpResponse> response;
  bool from_storage = false;  // from where the hub sent us, not from the hub itself

  bool is_ok() const {
    return response && (response->status == 200 || response->status == 206);
  }
};

// Asks for the rest of one file once, following redirects: with the token on the hub itself,
// without it anywhere else.
Answer ask_for(HubSession& hub, const std::string& path, const StoredFile& file,
               const fs::path& partial, Retry& retry) {
  HttpRequest request = hub.request("GET", path);
  const std::vector<HttpHeader> with_token = request.headers;
  const std::string home = origin_of(hub.endpoint());
  request.to_file = partial;
  request.max_file_bytes = file.size;
  request.stall_timeout = hub.patience().stall_timeout;
  request.total_timeout = hub.patience().deadline;
  for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
    auto response = hub.send(request, retry, Repeat::never);
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

bool worth_asking_again(const Answer& answer) {
  if (!answer.response) {
    const Error& error = answer.response.error();
    return is_transient(error, true) || error.kind == ErrorKind::corrupt;
  }
  const int status = answer.response->status;
  // Storage answers 403 when a signed address has expired; the hub gives a fresh one. 416: what we
  // had cannot be a part of the file, and has been removed.
  return is_transient_status(status) || status == 416 || (answer.from_storage && status == 403);
}

// Fetches until the file has all its bytes. Every byte that arrives renews the patience.
Status fetch_bytes(HubSession& hub, const SnapshotRequest& request, const std::string& commit,
                   const StoredFile& file, const fs::path& partial) {
  const std::string path =
      request.repo.web() + "/resolve/" + percent_encode(commit) + "/" + encode_path(file.path);
  std::optional<Retry> retry(hub.start_retry());
  std::int64_t before = size_of(partial);
  if (before == file.size && file.size > 0) return Unit{};
  for (;;) {
    const Answer answer = ask_for(hub, path, file, partial, *retry);
    if (answer.is_ok()) return Unit{};
    std::error_code ignored;
    if (answer.response && answer.response->status == 416) fs::remove(partial, ignored);
    const std::int64_t after = size_of(partial);
    if (after > before) retry.emplace(hub.start_retry());
    before = after;
    if (worth_asking_again(answer) &&
        retry->wait(answer.response ? asked_wait(*answer.response) : std::nullopt)) {
      continue;
    }
    const std::string doing = "downloading " + file.path;
    return answer.response ? hub_error(doing, *answer.response)
                           : while_doing(doing, answer.response.error());
  }
}

Status fetch_file(HubSession& hub, const SnapshotRequest& request, const std::string& commit,
                  const StoredFile& file, const fs::path& partial) {
  for (int attempt = 0; attempt < kMostWrongHashes; ++attempt) {
    if (Status complete = fetch_bytes(hub, request, commit, file, partial); !complete) {
      return complete;
    }
    const auto right = has_content(partial, file);
    if (!right) return right.error();
    if (*right) return Unit{};
    std::error_code ignored;
    fs::remove(partial, ignored);
  }
  return Error{ErrorKind::corrupt,
               "downloading " + file.path + ": what arrives does not have its hash"};
}

}  // namespace

Result<Snapshot> download_snapshot(HubSession& hub, const SnapshotRequest& request) {
  Retry retry = hub.start_retry();
  const auto commit = hub_commit_of(hub, request.repo, request.revision, retry);
  if (!commit) return commit.error();
  const auto listed = list_hub_files(hub, request.repo, *commit, retry);
  if (!listed) return listed.error();

  Snapshot snapshot{*commit, {}, 0};
  std::vector<StoredFile> wanted;
  for (const StoredFile& file : *listed) {
    if (!is_wanted(file.path, request.allow)) continue;
    if (Status allowed = check_target(request.folder, file); !allowed) return allowed.error();
    wanted.push_back(file);
    snapshot.files.push_back(file.path);
    snapshot.bytes += file.size;
  }
  if (wanted.empty()) {
    return Error{ErrorKind::not_found, request.repo.name.full() + " at " + request.revision +
                                           " has none of the files asked for"};
  }
  const fs::path partials = request.folder / ".download";
  if (Status made = make_folders(partials); !made) return made.error();

  DownloadProgress progress{"", 0, static_cast<std::int64_t>(wanted.size()), 0, snapshot.bytes};
  for (const StoredFile& file : wanted) {
    progress.file = file.path;
    if (request.progress) request.progress(progress);
    const fs::path target = request.folder / file.path;
    const auto there = has_content(target, file);
    if (!there) return there.error();
    if (!*there) {
      const fs::path partial = partials / hash_of(file);
      if (Status fits = check_space(request.folder, file.size - size_of(partial)); !fits) {
        return fits.error();
      }
      if (Status fetched = fetch_file(hub, request, *commit, file, partial); !fetched) {
        return fetched.error();
      }
      if (Status placed = put_in_place(partial, target); !placed) return placed.error();
    }
    ++progress.files_done;
    progress.bytes_done += file.size;
  }
  if (request.progress) request.progress(progress);
  std::error_code ignored;
  fs::remove(partials, ignored);  // only when empty
  return snapshot;
}

}  // namespace mayfly
