// Files from the hub into a folder: the agent fetches model and data with it, a person a file.
//
// A file appears under its name when it is complete and its hash is right (SHA-256 for large files,
// git's SHA-1 for the others), by rename. Until then it grows in `<folder>/.download/<hash>`, and
// the next call, in this process or another, goes on where it ended. A file that is there already
// with the right hash is not fetched. The revision is resolved to a commit once, so a branch that
// moves meanwhile cannot mix two versions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/hub_names.h"
#include "core/result.h"
#include "core/store/hub_session.h"

namespace mayfly {

struct DownloadProgress {
  std::string file;  // the one at hand
  std::int64_t files_done = 0;
  std::int64_t files = 0;
  std::int64_t bytes_done = 0;  // also of the file at hand, a few times a second
  std::int64_t bytes = 0;
};

struct SnapshotRequest {
  HubRepo repo;
  std::string revision = "main";
  // Shell patterns on the whole path, "*" matching "/" too; empty: all files.
  std::vector<std::string> allow = {};
  std::filesystem::path folder;
  std::function<void(const DownloadProgress&)> progress = {};
};

struct Snapshot {
  std::string commit;
  std::vector<std::string> files;
  std::int64_t bytes = 0;
};

// Errors: not_found (repository, revision, or no file matches), unauthorized, unreachable (the
// deadline of the session passed without progress), corrupt (wrong bytes, twice), no_space (checked
// before the first byte), refused (a name that leads out of the folder).
Result<Snapshot> download_snapshot(HubSession& hub, const SnapshotRequest& request);

}  // namespace mayfly
