// Where checkpoints go: a repository with branches of files. One kind is the hub (store/hub.h);
// tests have a fake.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/result.h"

namespace mayfly {

// A file to upload: `source` on disk, `path` in the repository.
struct StoreUpload {
  std::filesystem::path source;
  std::string path;
};

// A file as the store lists it. sha256 of the content where the store knows it (LFS, S3), else
// git_blob_id.
struct StoredFile {
  std::string path;
  std::int64_t size = 0;
  std::string sha256;
  std::string git_blob_id;
  // Above 0: sha256 is of the hashes (raw, one after the other) of pieces of this size, as S3 keeps
  // it of what was uploaded in parts.
  std::int64_t part_bytes = 0;
};

struct StoreCommit {
  std::string commit;  // the id under which the files can be listed
};

// Blocking; one thread at a time per object. Every call has its own deadline and retries what is
// transient until `deadline_seconds` of its options are gone.
// Errors: unauthorized, refused (with the server's words), not_found, unreachable, rate_limited,
// outcome_unknown.
class Store {
 public:
  virtual ~Store() = default;

  // Makes the repository if it is not there, and checks that this token may write to it.
  virtual Status ensure_repository() = 0;
  // Makes the branch if it is not there (from the default branch).
  virtual Status ensure_branch(const std::string& branch) = 0;
  // One commit with all files on top of the branch. Files whose bytes the store has are not sent
  // again; if nothing would change, no commit is made and the head is returned.
  virtual Result<StoreCommit> commit(const std::string& branch, const std::string& summary,
                                     const std::vector<StoreUpload>& files) = 0;
  // All files at a branch or commit.
  virtual Result<std::vector<StoredFile>> list(const std::string& revision) = 0;
  virtual Result<std::vector<std::string>> branches() = 0;
};

// A commit call that was answered is not proof. Lists `revision` and compares each upload's size
// and hash with it. Error: corrupt, naming the first file that differs or is missing.
Status verify_upload(Store& store, const std::string& revision,
                     const std::vector<StoreUpload>& files);
// The same against a listing at hand.
Status compare_listing(const std::vector<StoredFile>& listed, const std::string& revision,
                       const std::vector<StoreUpload>& files);

// SHA-256 in hex of each piece of the file; of an empty file one. Errors: not_found, corrupt.
Result<std::vector<std::string>> part_hashes(const std::filesystem::path& file,
                                             std::int64_t part_bytes);

}  // namespace mayfly
