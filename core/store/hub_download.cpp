#include "core/store/hub_download.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/store/file_download.h"
#include "core/store/hub.h"
#include "core/url.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

std::string hash_of(const StoredFile& file) {
  return file.sha256.empty() ? file.git_blob_id : file.sha256;
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

// The file is in the folder with the right content.
Status ensure_file(HubSession& hub, const SnapshotRequest& request, const std::string& commit,
                   const StoredFile& file, const std::function<void(std::int64_t)>& progress) {
  const fs::path target = request.folder / file.path;
  const auto there = has_content(target, file);
  if (!there) return there.error();
  if (*there) return Unit{};
  const fs::path partial = request.folder / ".download" / hash_of(file);
  if (Status fits = check_space(request.folder, file.size - size_of(partial)); !fits) return fits;
  const std::string path =
      request.repo.web() + "/resolve/" + percent_encode(commit) + "/" + encode_path(file.path);
  FileDownload download(hub, path, file, partial, progress);
  if (Status fetched = download.fetch(); !fetched) return fetched;
  return put_in_place(partial, target);
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
  const auto tell = [&](std::int64_t of_this_file) {
    DownloadProgress now = progress;
    now.bytes_done += of_this_file;
    if (request.progress) request.progress(now);
  };
  for (const StoredFile& file : wanted) {
    progress.file = file.path;
    tell(0);
    if (Status there = ensure_file(hub, request, *commit, file, tell); !there) {
      return there.error();
    }
    ++progress.files_done;
    progress.bytes_done += file.size;
  }
  tell(0);
  std::error_code ignored;
  fs::remove(partials, ignored);  // only when empty
  return snapshot;
}

}  // namespace mayfly
