// "Safe" means that somebody looked. A hub that answers well and keeps nothing, or that hangs, must
// not make us say it, and must not hold up the agent.
#include "agent/upload_queue.h"

#include <atomic>
#include <cmath>
#include <thread>

#include "core/model/safetensors.h"
#include "tests/fakes/fake_store.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class UploadQueueTest : public TemporaryFolder {
 protected:
  UploadTask task(const std::string& label) const {
    return {
        label,     label,
        "summary", {{put(label + "/a", "bytes of a"), "a"}, {put(label + "/b", "bytes of b"), "b"}},
        false,     CommitRank::work};
  }
  // The first `count` results, or those that came within some seconds.
  static std::vector<UploadResult> wait_for(UploadQueue& queue, std::size_t count) {
    std::vector<UploadResult> all;
    for (int i = 0; i < 5000 && all.size() < count; ++i) {
      for (UploadResult& result : queue.take_results()) all.push_back(std::move(result));
      if (all.size() < count) std::this_thread::sleep_for(1ms);
    }
    return all;
  }
  FakeStore store_;
  SystemClock clock_;
};

TEST_F(UploadQueueTest, UploadsVerifiesAndReports) {
  UploadQueue queue(store_, clock_);
  queue.push(task("checkpoint-epoch-1"));
  queue.push(task("main"));
  const auto results = wait_for(queue, 2);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_FALSE(results[0].error) << results[0].error->message;
  EXPECT_EQ(results[0].label, "checkpoint-epoch-1");
  EXPECT_EQ(results[0].commit, "commit-1");
  EXPECT_EQ(results[0].files_sha256.size(), 64U);
  EXPECT_EQ(store_.repository_calls, 1);
  EXPECT_EQ(store_.branches_made, std::vector<std::string>{"checkpoint-epoch-1"});
}

TEST_F(UploadQueueTest, AnAnswerWithoutTheFilesIsNotSafe) {
  store_.loses_a_file = true;
  UploadQueue queue(store_, clock_);
  queue.push(task("main"));
  const auto results = wait_for(queue, 1);
  ASSERT_EQ(results.size(), 1U);
  ASSERT_TRUE(results[0].error);
  EXPECT_EQ(results[0].error->kind, ErrorKind::corrupt);
}

TEST_F(UploadQueueTest, AFailureIsReportedAndTheNextTaskIsTried) {
  store_.commit_errors = {{ErrorKind::unreachable, "reset by peer"}};
  UploadQueue queue(store_, clock_);
  queue.push(task("checkpoint-epoch-1"));
  queue.push(task("main"));
  const auto results = wait_for(queue, 2);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].error->kind, ErrorKind::unreachable);
  EXPECT_EQ(results[0].error->message, "uploading checkpoint-epoch-1: reset by peer");
  EXPECT_FALSE(results[1].error);
}

TEST_F(UploadQueueTest, ABrokenAdapterGoesUpFlagged) {
  const float broken[] = {1, INFINITY};
  const float good[] = {1, 2};
  for (const auto& weights : {broken, good}) {
    const auto path = folder_ / "adapter_model.safetensors";
    ASSERT_TRUE(write_safetensors(
        path, {{"lora", TensorType::f32, {2}, std::as_bytes(std::span(weights, 2))}}));
    UploadQueue queue(store_, clock_);
    queue.push({.label = "main",
                .branch = "main",
                .summary = "my-run: main",
                .files = {{path, "adapter_model.safetensors"}}});
    const auto results = wait_for(queue, 1);
    ASSERT_EQ(results.size(), 1U);
    EXPECT_FALSE(results[0].error);
    EXPECT_EQ(store_.list("main")->size(), 1U) << "a broken adapter is not a lost one";
    EXPECT_EQ(results[0].flag.empty(), weights == good) << results[0].flag;
    EXPECT_EQ(store_.summaries.back(),
              weights == good ? "my-run: main"
                              : "my-run: main [FLAGGED, not finite: 1 numbers in 1 tensors, first "
                                "in lora]");
  }
}

// A store whose first commit waits until it is let go.
class HangingStore final : public Store {
 public:
  Status ensure_repository() override {
    ++waiting;
    while (hangs) std::this_thread::sleep_for(1ms);
    return Unit{};
  }
  Status ensure_branch(const std::string&) override {
    return Unit{};
  }
  Result<StoreCommit> commit(const std::string& branch, const std::string&,
                             const std::vector<StoreUpload>&) override {
    order.push_back(branch);
    return Error{ErrorKind::unreachable, "none"};
  }
  Result<std::vector<StoredFile>> list(const std::string&) override {
    return std::vector<StoredFile>{};
  }
  Result<std::vector<std::string>> branches() override {
    return std::vector<std::string>{};
  }
  std::atomic<bool> hangs = true;
  std::atomic<int> waiting = 0;
  std::vector<std::string> order;
};

TEST_F(UploadQueueTest, AHangingHubHoldsUpNobodyAndUrgentTasksGoFirst) {
  HangingStore store;
  UploadQueue queue(store, clock_);
  queue.push(task("checkpoint-epoch-1"));
  for (int i = 0; i < 5000 && store.waiting == 0; ++i) std::this_thread::sleep_for(1ms);
  queue.push(task("checkpoint-epoch-2"));
  UploadTask urgent = task("main");
  urgent.urgent = true;
  queue.push(std::move(urgent));
  EXPECT_TRUE(queue.take_results().empty());
  store.hangs = false;
  ASSERT_EQ(wait_for(queue, 3).size(), 3U);
  EXPECT_EQ(store.order,
            (std::vector<std::string>{"checkpoint-epoch-1", "main", "checkpoint-epoch-2"}));
}

}  // namespace
}  // namespace mayfly
