// Logs are read by strangers once they are on a hub, and a hub refuses a commit with a token in it.
#include "agent/run_logs.h"

#include <algorithm>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

class RunLogsTest : public TemporaryFolder {
 protected:
  RunDirectory run_{folder_};
};

TEST_F(RunLogsTest, MasksTokensAndNamesFilesByRun) {
  put("logs/train.log", "loading with hf_abcdefghijklmnopqrstuvwxyz0123456789\nstep 1\n");
  put("agent/status.json", "{}");
  const auto files = collect_logs(run_, "my-run");
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "logs/my-run/train.log");
  const std::string text = *read_file((*files)[0].source);
  EXPECT_EQ(text.find("hf_abcdef"), std::string::npos);
  EXPECT_NE(text.find("hf_***"), std::string::npos);
  EXPECT_NE(text.find("step 1"), std::string::npos);
  // The original stays as it is.
  EXPECT_NE(read_file(run_.trainer_log())->find("hf_abcdef"), std::string::npos);
}

TEST_F(RunLogsTest, AnErrorLogEndsWithTheLastTwoHundredLines) {
  std::string log;
  for (int i = 1; i <= 1000; ++i) log += "line " + std::to_string(i) + "\n";
  put("logs/train.log", log);
  const auto file = collect_error_log(run_, "2026-11-22T14:02:11.482Z", "sft", "it broke");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->path, "logs/error-2026-11-22T140211.482Z-sft.log");
  const std::string text = *read_file(file->source);
  EXPECT_TRUE(text.starts_with("it broke\n\nline 801\n")) << text.substr(0, 40);
  EXPECT_TRUE(text.ends_with("line 1000\n"));
}

TEST_F(RunLogsTest, OfAHugeLogTheEndIsKept) {
  put("logs/train.log", std::string(9 << 20, 'x') + "the end\n");
  const auto files = collect_logs(run_, "my-run");
  ASSERT_EQ(files->size(), 1U);
  const std::string text = *read_file((*files)[0].source);
  EXPECT_EQ(text.size(), 4U << 20);
  EXPECT_TRUE(text.ends_with("the end\n"));
}

}  // namespace
}  // namespace mayfly
