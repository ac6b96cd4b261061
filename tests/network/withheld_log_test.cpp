// A hub refuses a whole commit for one token in it. So a log with a token must not cost the
// adapter: they never share a commit, the log is scrubbed before it goes, and if one gets through
// all the same, the log is lost and nothing else.
#include <thread>

#include "agent/run_logs.h"
#include "agent/upload_folder.h"
#include "agent/upload_queue.h"
#include "core/run/checkpoint_folder.h"
#include "tests/localhub/running_hub.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class WithheldLogTest : public RunningHubTest {
 protected:
  void SetUp() override {
    RunningHubTest::SetUp();
    run_ = RunDirectory{folder_ / "run"};
    std::filesystem::create_directories(run_.adapter());
    std::filesystem::create_directories(run_.logs());
    ASSERT_TRUE(write_file(run_.adapter() / "adapter_model.safetensors", bytes(5'000)));
    ASSERT_TRUE(write_file(run_.adapter() / "adapter_config.json", "{}"));
    ASSERT_TRUE(write_manifest(run_.adapter()));
    ASSERT_TRUE(write_file(run_.trainer_log(), std::string("step 1\nusing ") + kToken + "\n"));
  }
  UploadResult upload(UploadTask task) {
    queue_->push(std::move(task));
    for (int i = 0; i < 20'000; ++i) {
      for (UploadResult& result : queue_->take_results()) return std::move(result);
      std::this_thread::sleep_for(1ms);
    }
    return {"", "", "", Error{ErrorKind::internal, "no result came"}};
  }
  // The adapter on main, verified by the queue.
  void upload_adapter() {
    const auto files = freeze_folder(run_, "adapter", "main", OptimizerState::none);
    ASSERT_TRUE(files) << files.error().message;
    const UploadResult result =
        upload({.label = "main", .branch = "main", .summary = "the adapter", .files = *files});
    ASSERT_FALSE(result.error) << result.error->message;
    EXPECT_FALSE(result.commit.empty());
  }
  std::vector<std::string> paths_on_main() {
    std::vector<std::string> paths;
    const auto listed = store().list("main");
    if (!listed) return paths;
    for (const StoredFile& file : *listed) paths.push_back(file.path);
    return paths;
  }

  RunDirectory run_;
  std::unique_ptr<UploadQueue> queue_;
};

TEST_F(WithheldLogTest, AScrubbedLogIsTakenAndHoldsNoToken) {
  queue_ = std::make_unique<UploadQueue>(store(), clock_);
  upload_adapter();
  const auto logs = collect_logs(run_, "a-run", {Secret(kToken)});
  ASSERT_TRUE(logs);
  const UploadResult result = upload({.label = "logs",
                                      .branch = "main",
                                      .summary = "logs",
                                      .files = *logs,
                                      .rank = CommitRank::logs});
  EXPECT_FALSE(result.error) << result.error->message;
  EXPECT_THAT(paths_on_main(), testing::Contains("logs/a-run/train.log"));
  EXPECT_EQ(read_file((*logs)[0].source)->find(kToken), std::string::npos);
}

TEST_F(WithheldLogTest, ALogWithATokenIsRefusedAndTheAdapterIsSafe) {
  queue_ = std::make_unique<UploadQueue>(store(), clock_);
  upload_adapter();
  const UploadResult result = upload({.label = "logs",
                                      .branch = "main",
                                      .summary = "logs",
                                      .files = {{run_.trainer_log(), "logs/a-run/train.log"}},
                                      .rank = CommitRank::logs});
  ASSERT_TRUE(result.error);
  EXPECT_EQ(result.error->kind, ErrorKind::refused);
  EXPECT_THAT(result.error->message, testing::HasSubstr("secrets"));
  EXPECT_THAT(paths_on_main(), testing::Not(testing::Contains("logs/a-run/train.log")));
  EXPECT_THAT(paths_on_main(), testing::Contains("adapter_model.safetensors"));
}

// The reason why they are apart.
TEST_F(WithheldLogTest, InOneCommitTheyWouldBothBeLost) {
  queue_ = std::make_unique<UploadQueue>(store(), clock_);
  auto files = freeze_folder(run_, "adapter", "main", OptimizerState::none);
  ASSERT_TRUE(files);
  files->push_back({run_.trainer_log(), "logs/a-run/train.log"});
  const UploadResult result =
      upload({.label = "main", .branch = "main", .summary = "both", .files = *files});
  ASSERT_TRUE(result.error);
  EXPECT_THAT(paths_on_main(), testing::Not(testing::Contains("adapter_model.safetensors")));
}

}  // namespace
}  // namespace mayfly
