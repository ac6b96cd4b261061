// The run's logs as files to upload: copies with everything that looks like a token masked, at most
// the last few megabytes of each. A hub refuses a whole commit for one token in it, so logs never
// share a commit with an adapter.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "core/run/directory.h"
#include "core/store/store.h"

namespace mayfly {

// Copies to agent/upload/logs/ and returns them with their paths, logs/<run>/... in the repository.
// Logs that are missing are left out. Errors: no_space, refused.
Result<std::vector<StoreUpload>> collect_logs(const RunDirectory& run, const std::string& run_name);
// The status alone.
Result<std::vector<StoreUpload>> collect_status(const RunDirectory& run,
                                                const std::string& run_name);
// For a failed run: logs/error-<utc>-<phase>.log with the reason and the last 200 lines of the
// trainer's log, among the others.
Result<StoreUpload> collect_error_log(const RunDirectory& run, const std::string& utc,
                                      const std::string& phase, const std::string& reason);

}  // namespace mayfly
