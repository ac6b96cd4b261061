// Logs are read by strangers once they are on a hub, and a hub refuses a commit with a token in it.
#include "agent/run_logs.h"

#include <sys/stat.h>

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
  const auto files = collect_logs(run_, "my-run", {});
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

TEST_F(RunLogsTest, TheRunsOwnSecretsAreMaskedWhateverTheyLookLike) {
  put("logs/train.log", "the pass phrase is correct horse battery\n");
  const auto files = collect_logs(run_, "my-run", {Secret("correct horse battery")});
  ASSERT_TRUE(files);
  EXPECT_EQ(*read_file((*files)[0].source), "the pass phrase is ***\n");
}

// The trainer writes into this folder; the agent may read more than the trainer may.
TEST_F(RunLogsTest, NeitherALinkNorAPipeIsRead) {
  put("destroy.curl", "header = the key of the provider\n");
  std::filesystem::create_directories(run_.logs());
  std::filesystem::create_symlink(folder_ / "destroy.curl", run_.trainer_log());
  std::filesystem::create_symlink(folder_ / "destroy.curl", run_.metrics());
  ASSERT_EQ(::mkfifo(run_.events().c_str(), 0600), 0);
  put("agent/status.json", "{}");
  const auto files = collect_logs(run_, "my-run", {});
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1U);
  EXPECT_EQ(files->front().path, "logs/my-run/status.json");
}

TEST_F(RunLogsTest, AnErrorLogSaysWhatIsKnown) {
  std::string log;
  for (int i = 1; i <= 1000; ++i) log += "line " + std::to_string(i) + "\n";
  put("logs/train.log", log + "key hf_canary0123456789abcdef\n");
  put("logs/agent.log", "the agent's word\n");
  put("logs/stack.txt", "#0 step() in train\n");
  const Failure failure{.utc = "2026-11-22T14:02:11.482Z",
                        .phase = "sft",
                        .reason = "it broke",
                        .config_hash = "c0ffee",
                        .host = "Canary-host 12 GB\n"};
  const auto file = collect_error_log(run_, failure, {Secret("Canary-host")});
  ASSERT_TRUE(file);
  EXPECT_EQ(file->path, "logs/error-2026-11-22T140211.482Z-sft.log");
  const std::string text = *read_file(file->source);
  EXPECT_TRUE(text.starts_with("it broke\n\nat 2026")) << text.substr(0, 40);
  for (const char* part :
       {"c0ffee", "#0 step() in train", "the agent's word", "line 1\n", "12 GB"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(text.ends_with("line 1000\nkey hf_***\n"));
  EXPECT_EQ(text.find("anary"), std::string::npos);
}

TEST_F(RunLogsTest, NothingIsReadThroughALinkInTheFoldersPlace) {
  put("elsewhere/train.log", "the key to the account\n");
  put("elsewhere/stack.txt", "the key to the account\n");
  std::filesystem::create_directory_symlink(folder_ / "elsewhere", run_.logs());
  put("agent/status.json", "{}");
  const auto files = collect_logs(run_, "my-run", {});
  ASSERT_TRUE(files);
  EXPECT_EQ(files->size(), 1U);
  const auto error =
      collect_error_log(run_, {"2026-11-22T14:02:11.482Z", "sft", "it broke", "", ""}, {});
  ASSERT_TRUE(error);
  EXPECT_EQ(read_file(error->source)->find("the key"), std::string::npos);
}

TEST_F(RunLogsTest, AnErrorLogIsAtMostTwoMegabytesAndKeepsTheTrainersLastWords) {
  const std::string line = std::string(99, 'x') + "\n";
  std::string log;
  while (log.size() < 5'000'000) log += line;
  put("logs/train.log", log + "the end\n");
  put("logs/agent.log", log);
  put("logs/stack.txt", log);
  const Failure failure{"2026-11-22T14:02:11.482Z", "sft", "it broke", "c0ffee", log};
  const auto file = collect_error_log(run_, failure, {});
  ASSERT_TRUE(file);
  const std::string text = *read_file(file->source);
  EXPECT_LE(text.size(), 2U << 20);
  EXPECT_GT(text.size(), 1U << 20);
  EXPECT_TRUE(text.ends_with("the end\n"));
}

// It begins with a whole line: of a token that is cut in two, the rest would not be recognised.
TEST_F(RunLogsTest, OfAHugeLogTheEndIsKept) {
  const std::string last = std::string((4 << 20) - 60, 'x') + "\nthe end\n";
  put("logs/train.log", "hf_" + std::string(200, 'c') + "\n" + last);
  const auto files = collect_logs(run_, "my-run", {});
  ASSERT_EQ(files->size(), 1U);
  const std::string text = *read_file((*files)[0].source);
  EXPECT_EQ(text.size(), last.size());
  EXPECT_EQ(text.find('c'), std::string::npos);
  EXPECT_TRUE(text.ends_with("the end\n"));
}

}  // namespace
}  // namespace mayfly
