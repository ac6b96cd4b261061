// A bucket as a Store: <prefix><branch>/<file>. The second place for the work, when the hub fails.
//
// S3 knows no commits. A commit here is the files, each checked by the server against the SHA-256
// that travels with it, and then <branch>/mayfly-manifest.json with their names, sizes and hashes:
// a branch without it, or whose files do not agree with it, is not complete. The commit's id is
// "<branch>@<SHA-256 of the manifest>".
//
// Listing asks the server for each object's size and stored SHA-256; of an object in parts that is
// the hash of the parts' hashes (StoredFile::part_bytes). A server that keeps no SHA-256 is made to
// send the bytes back, which are hashed here.
#pragma once

#include <string>
#include <vector>

#include "core/store/s3_session.h"
#include "core/store/store.h"

namespace mayfly {

class S3Store final : public Store {
 public:
  // `s3` must outlive the store.
  explicit S3Store(S3Session& s3) : s3_(s3) {}

  // The bucket must be there: it is never made. The right to write is tried by beginning an upload
  // in parts and giving it up, which leaves nothing behind.
  Status ensure_repository() override;
  Status ensure_branch(const std::string& branch) override;
  Result<StoreCommit> commit(const std::string& branch, const std::string& summary,
                             const std::vector<StoreUpload>& files) override;
  Result<std::vector<StoredFile>> list(const std::string& revision) override;
  Result<std::vector<std::string>> branches() override;

 private:
  Result<StoredFile> look_at(const std::string& key, Retry& retry);
  Result<std::string> hash_by_reading(const std::string& key, std::int64_t size, Retry& retry);
  Status put_text(const std::string& key, const std::string& text, Retry& retry);
  Status put_file(const std::string& key, const StoreUpload& file, Retry& retry);
  Result<std::vector<std::string>> keys_under(const std::string& folder, bool folders_only,
                                              Retry& retry);

  S3Session& s3_;
};

}  // namespace mayfly
