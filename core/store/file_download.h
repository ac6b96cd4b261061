// One file from the hub, under a name of its own until it is complete: asks for what is missing, as
// often as it takes, and keeps nothing whose hash is wrong.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "core/result.h"
#include "core/store/hub_session.h"
#include "core/store/store.h"

namespace mayfly {

// Bytes of a file; 0 where there is none.
std::int64_t size_of(const std::filesystem::path& path);

// Whether the file is there with the size and hash that the hub lists.
Result<bool> has_content(const std::filesystem::path& path, const StoredFile& file);

class FileDownload {
 public:
  // `path`: where the hub has the file ("/me/x/resolve/<commit>/config.json"). `partial`: grows,
  // and may hold the start from an earlier try. `progress`: called with its size. All must outlive
  // this.
  FileDownload(HubSession& hub, const std::string& path, const StoredFile& file,
               const std::filesystem::path& partial,
               const std::function<void(std::int64_t)>& progress)
      : hub_(hub), path_(path), file_(file), partial_(partial), progress_(progress) {}

  // `partial` is complete and right. Errors: those of HubSession; corrupt.
  Status fetch();

 private:
  struct Answer;
  Answer ask(Retry& retry);
  Status fetch_bytes();

  HubSession& hub_;
  const std::string& path_;
  const StoredFile& file_;
  const std::filesystem::path& partial_;
  const std::function<void(std::int64_t)>& progress_;
};

}  // namespace mayfly
