#include "core/store/store.h"

#include <map>

#include "core/atomic_file.h"
#include "core/sha256.h"

namespace mayfly {

namespace {

// Why `stored` is not the file; "" if it is.
Result<std::string> difference(const StoreUpload& upload, const StoredFile& stored) {
  std::error_code code;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(upload.source, code));
  if (code) return Error{ErrorKind::not_found, "cannot read " + upload.source.string()};
  if (stored.size != size) {
    return "it has " + std::to_string(stored.size) + " bytes instead of " + std::to_string(size);
  }
  if (!stored.sha256.empty()) {
    const auto hash = sha256_file(upload.source);
    if (!hash) return hash.error();
    return std::string(*hash == stored.sha256 ? "" : "its SHA-256 differs");
  }
  const auto bytes = read_file(upload.source);
  if (!bytes) return bytes.error();
  return std::string(git_blob_id(*bytes) == stored.git_blob_id ? "" : "its git hash differs");
}

}  // namespace

Status verify_upload(Store& store, const std::string& revision,
                     const std::vector<StoreUpload>& files) {
  const auto listed = store.list(revision);
  if (!listed) return while_doing("listing " + revision, listed.error());
  return compare_listing(*listed, revision, files);
}

Status compare_listing(const std::vector<StoredFile>& listed, const std::string& revision,
                       const std::vector<StoreUpload>& files) {
  std::map<std::string, const StoredFile*> by_path;
  for (const StoredFile& file : listed) by_path[file.path] = &file;
  for (const StoreUpload& upload : files) {
    const auto found = by_path.find(upload.path);
    if (found == by_path.end()) {
      return Error{ErrorKind::corrupt, upload.path + " is missing at " + revision};
    }
    const auto differs = difference(upload, *found->second);
    if (!differs) return differs.error();
    if (!differs->empty()) {
      return Error{ErrorKind::corrupt, upload.path + " at " + revision + " is wrong: " + *differs};
    }
  }
  return Unit{};
}

}  // namespace mayfly
