#include "agent/upload_queue.h"

#include "agent/adapter_check.h"
#include "agent/upload_folder.h"

namespace mayfly {

struct UploadQueue::Shared {
  Shared(Store& the_store, Clock& the_clock) : store(the_store), clock(the_clock) {}

  Store& store;  // the thread's
  Clock& clock;
  CommitBudget budget;            // the thread's
  bool repository_ready = false;  // the thread's

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::deque<UploadTask> tasks;
  std::vector<UploadResult> results;
  bool over = false;

  Result<UploadResult> upload(const UploadTask& task);
  void work();
};

Result<UploadResult> UploadQueue::Shared::upload(const UploadTask& task) {
  if (!repository_ready) {
    if (const Status made = store.ensure_repository(); !made) return made.error();
    repository_ready = true;
  }
  if (task.files.empty()) return UploadResult{.label = task.label};  // a test of the right to write
  if (task.branch != "main") {
    if (const Status made = store.ensure_branch(task.branch); !made) return made.error();
  }
  if (!budget.take(task.rank, clock.steady_now())) {
    return Error{ErrorKind::rate_limited, "the hub's commits of this hour are used up"};
  }
  const std::string flag = adapter_flag(task.files);
  const std::string summary =
      flag.empty() ? task.summary : task.summary + " [FLAGGED, " + flag + "]";
  const Result<StoreCommit> commit = store.commit(task.branch, summary, task.files);
  if (!commit) {
    // Most failures come before the commit; a hub that cannot be reached must not use the budget
    // up.
    budget.give_back();
    return commit.error();
  }
  // An answer is not proof: only what can be listed at that commit is there.
  if (const Status same = verify_upload(store, commit->commit, task.files); !same) {
    return same.error();
  }
  const Result<std::string> list = list_sha256(task.files);
  if (!list) return list.error();
  return UploadResult{
      .label = task.label, .commit = commit->commit, .files_sha256 = *list, .flag = flag};
}

void UploadQueue::Shared::work() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return over || !tasks.empty(); });
    if (over) return;
    const UploadTask task = std::move(tasks.front());
    tasks.pop_front();
    lock.unlock();
    Result<UploadResult> result = upload(task);
    if (!result) {
      result =
          UploadResult{task.label, {}, {}, while_doing("uploading " + task.label, result.error())};
    }
    lock.lock();
    results.push_back(*std::move(result));
  }
}

UploadQueue::UploadQueue(Store& store, Clock& clock)
    : shared_(std::make_shared<Shared>(store, clock)) {
  std::thread([shared = shared_] { shared->work(); }).detach();
}

UploadQueue::~UploadQueue() {
  const std::lock_guard lock(shared_->mutex);
  shared_->over = true;
  shared_->changed.notify_all();
}

void UploadQueue::push(UploadTask task) {
  const std::lock_guard lock(shared_->mutex);
  if (task.urgent) {
    shared_->tasks.push_front(std::move(task));
  } else {
    shared_->tasks.push_back(std::move(task));
  }
  shared_->changed.notify_all();
}

std::vector<UploadResult> UploadQueue::take_results() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->results, {});
}

}  // namespace mayfly
