#include "core/store/store.h"

#include <algorithm>
#include <fstream>
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
  if (stored.part_bytes > 0) {
    const auto hashes = part_hashes(upload.source, stored.part_bytes);
    if (!hashes) return hashes.error();
    std::string all;
    for (const std::string& hash : *hashes) all += from_hex(hash);
    return std::string(sha256_hex(all) == stored.sha256 ? "" : "the SHA-256 of its parts differs");
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

Result<std::vector<std::string>> part_hashes(const std::filesystem::path& file,
                                             std::int64_t part_bytes) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Error{ErrorKind::not_found, "cannot open " + file.string()};
  std::vector<std::string> hashes;
  std::vector<char> block(1 << 20);
  while (in.peek() != std::ifstream::traits_type::eof() || hashes.empty()) {
    Digest digest;
    for (std::int64_t left = part_bytes; left > 0 && in;) {
      const auto wanted = std::min<std::int64_t>(left, static_cast<std::int64_t>(block.size()));
      in.read(block.data(), wanted);
      digest.update(block.data(), static_cast<std::size_t>(in.gcount()));
      left -= in.gcount();
    }
    hashes.push_back(digest.finish_hex());
  }
  if (in.bad()) return Error{ErrorKind::corrupt, "cannot read " + file.string() + " to its end"};
  return hashes;
}

}  // namespace mayfly
