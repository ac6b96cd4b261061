// Getting the bytes of files to the hub before the commit that names them: which way each file goes
// (preupload), and the large ones by Git LFS (batch, PUT in one or several parts, verify). Only
// bytes that the hub does not have are sent; a broken upload is repeated from the batch call on,
// which leaves out what has arrived. Xet is not needed: the hub takes LFS from every client.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/hub_names.h"
#include "core/result.h"
#include "core/store/hub_session.h"
#include "core/store/store.h"

namespace mayfly {

// A file on its way. For `lfs` files sha256 names the content; others travel inside the commit.
struct PlannedUpload {
  StoreUpload file;
  std::int64_t size = 0;
  bool lfs = false;
  std::string sha256;  // of lfs files
};

// Asks the hub which way each file goes, and leaves out those whose content the branch has already.
// Errors: not_found (a local file, the repository, the branch), refused (the repository ignores the
// file), and what HubSession returns.
Result<std::vector<PlannedUpload>> plan_uploads(HubSession& hub, const HubRepo& repo,
                                                const std::string& branch,
                                                const std::vector<StoreUpload>& files,
                                                Retry& retry);

// Sends the bytes of the lfs files that the hub lacks.
Status send_large_files(HubSession& hub, const HubRepo& repo, const std::string& branch,
                        const std::vector<PlannedUpload>& uploads, Retry& retry);

// The body of the commit request: newline-delimited JSON, the header first, then the files in order
// of path. Reads the regular files. Errors: not_found, corrupt.
Result<std::string> commit_body(const std::string& summary,
                                const std::vector<PlannedUpload>& uploads);

}  // namespace mayfly
