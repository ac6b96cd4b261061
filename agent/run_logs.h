// The run's logs as files to upload: copies without secrets (core/scrub.h), at most the last few
// megabytes of each. A hub refuses a whole commit for one token in it, so logs never share a commit
// with an adapter.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "core/run/directory.h"
#include "core/secret.h"
#include "core/store/store.h"

namespace mayfly {

// Copies to agent/upload/logs/ and returns them with their paths, logs/<run>/... in the repository.
// Logs that are missing are left out. `own`: the run's own secrets, masked wherever they stand.
// Errors: no_space, refused.
Result<std::vector<StoreUpload>> collect_logs(const RunDirectory& run, const std::string& run_name,
                                              const std::vector<Secret>& own);
// The status alone.
Result<std::vector<StoreUpload>> collect_status(const RunDirectory& run,
                                                const std::string& run_name,
                                                const std::vector<Secret>& own);

// What is known of a run that failed.
struct Failure {
  std::string utc;          // when, "2026-11-22T14:02:11.482Z"
  std::string phase;        // "sft"
  std::string reason;       // in words
  std::string config_hash;  // of the plan
  std::string host;         // agent/host_state.h
};
// logs/error-<utc>-<phase>.log: the reason, the plan's hash, the stack that the trainer left if it
// left one (logs/stack*), the ends of its log and of the agent's, the host's state. At most 2 MB.
Result<StoreUpload> collect_error_log(const RunDirectory& run, const Failure& failure,
                                      const std::vector<Secret>& own);

}  // namespace mayfly
