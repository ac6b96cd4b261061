// Uploads, one after the other, on a thread of their own: training never waits for the hub.
//
// A task is safe when the hub's own listing at the returned commit has every file with our size and
// hash. An adapter with numbers that are not finite goes up too, flagged in the commit's words and
// in the result (agent/adapter_check.h). Whatever fails is a result for the agent to decide about;
// the queue itself tries nothing again beyond what the Store does. It keeps the hub's budget of
// commits (agent/commit_budget.h): a status that does not fit is left out, work that does not fit
// is a failure that may pass.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/commit_budget.h"
#include "agent/state.h"
#include "core/store/store.h"

namespace mayfly {

struct UploadTask {
  std::string label;  // of the result
  std::string branch;
  std::string summary;             // of the commit
  std::vector<StoreUpload> files;  // none: only asks whether this token may write
  bool urgent = false;             // before all that waits: the last of the work
  CommitRank rank = CommitRank::work;
};

class UploadQueue {
 public:
  // `store` is used by the queue's thread alone and outlives it; so does `clock`.
  UploadQueue(Store& store, Clock& clock);
  // Does not wait for a task that hangs: the thread is left behind, for a process that is to end.
  ~UploadQueue();
  UploadQueue(const UploadQueue&) = delete;
  UploadQueue& operator=(const UploadQueue&) = delete;

  void push(UploadTask task);
  // The results since the last call. Never waits.
  std::vector<UploadResult> take_results();

 private:
  // Shared with the thread, which may outlive the queue.
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace mayfly
