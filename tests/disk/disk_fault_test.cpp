// Disks fail: full at any byte, an error from any sync, read-only all of a sudden. Whatever
// happens, what was complete before stays so, nothing half written has a name that somebody
// believes, and the error says what the disk said. Faults are tried one after the other until a run
// meets none, as SQLite does ("How SQLite Is Tested", section 3).
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "tests/disk/own_mounts.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

struct Verdict {
  long newest = -1;
  int whole = 0, broken = 0;
  long state = -1, decision = 0;
};

class DiskFaultTest : public testing::Test {
 protected:
  // In memory where that is possible: what is tried is what the program makes of an error, and a
  // real disk's syncs cost some ten milliseconds each.
  void SetUp() override {
    const fs::path memory = "/dev/shm";
    folder_ = (::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path()) /
              ("disk_fault." + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  struct Run {
    int code = 0;
    std::string output;
  };
  Run run(const std::vector<std::string>& argv) {
    const fs::path output = folder_ / "output";
    fs::remove(output);
    const auto child = spawn({.argv = argv, .environment = {}, .folder = {}, .output = output});
    if (!child) return {-1, child.error().message};
    const auto code = wait_for_exit(*child, std::chrono::seconds(60));
    const auto text = read_file(output);
    return {code ? *code : -1, text ? *text : ""};
  }
  Run probe(const std::string& verb, const fs::path& at, int number = 0) {
    return run({kProbe, verb, at.string(), std::to_string(number)});
  }
  Verdict check(const fs::path& at) {
    Verdict verdict;
    const Run checked = probe("check", at);
    const auto line = checked.output.rfind('\n', checked.output.size() - 2);
    const std::string last = checked.output.substr(line == std::string::npos ? 0 : line + 1);
    EXPECT_EQ(std::sscanf(last.c_str(), "%ld %d %d %ld %ld", &verdict.newest, &verdict.whole,
                          &verdict.broken, &verdict.state, &verdict.decision),
              5)
        << checked.output;
    return verdict;
  }
  static void make_run(const fs::path& at) {
    for (const char* part : {"model", "checkpoints", "agent/uploaded"}) {
      fs::create_directories(at / part);
    }
    ASSERT_TRUE(write_file(at / "model/tokenizer.json", "{}"));
  }
  // strace makes the n-th call (or, with "+", all from the n-th on) of these kinds fail. Sets
  // `injected`: whether there was such a call.
  Run with_fault(const std::string& calls, const std::string& error, int n, bool for_ever,
                 const std::vector<std::string>& argv, bool& injected) {
    const fs::path trace = folder_ / "trace";
    fs::remove(trace);
    std::vector<std::string> traced = {"/usr/bin/strace",
                                       "-f",
                                       "-qq",
                                       "-o",
                                       trace.string(),
                                       "-e",
                                       "trace=" + calls,
                                       "-e",
                                       "inject=" + calls + ":error=" + error +
                                           ":when=" + std::to_string(n) + (for_ever ? "+" : "")};
    traced.insert(traced.end(), argv.begin(), argv.end());
    const Run result = run(traced);
    const auto text = read_file(trace);
    injected = text && text->find("(INJECTED)") != std::string::npos;
    return result;
  }
  static std::string no_strace() {
    return ::access("/usr/bin/strace", X_OK) == 0 ? "" : "strace is not installed";
  }

  fs::path folder_;
  static constexpr const char* kProbe = MAYFLY_DISK_PROBE;
};

TEST_F(DiskFaultTest, OneErrorOfAnySyncIsSurvived) {
  if (const std::string why = no_strace(); !why.empty()) GTEST_SKIP() << why;
  int n = 1;
  for (bool injected = true; injected; ++n) {
    const fs::path at = folder_ / std::to_string(n);
    make_run(at);
    ASSERT_EQ(probe("checkpoint", at, 1).code, 0);
    const Run saved =
        with_fault("fsync", "EIO", n, false, {kProbe, "checkpoint", at.string(), "2"}, injected);
    const Verdict after = check(at);
    EXPECT_EQ(after.broken, 0) << "sync " << n << "\n" << saved.output;
    EXPECT_EQ(saved.code, 0) << "sync " << n << "\n" << saved.output;
    EXPECT_EQ(after.newest, 2) << "sync " << n;
    EXPECT_EQ(after.whole, 2) << "sync " << n;
    ASSERT_LT(n, 500);
  }
  EXPECT_GT(n, 15);  // every file, the folder and its parent are synced
}

TEST_F(DiskFaultTest, ADiskThatStopsSyncingLosesNothingThatWasThere) {
  if (const std::string why = no_strace(); !why.empty()) GTEST_SKIP() << why;
  int n = 1;
  for (bool injected = true; injected; ++n) {
    const fs::path at = folder_ / std::to_string(n);
    make_run(at);
    ASSERT_EQ(probe("checkpoint", at, 1).code, 0);
    const Run saved =
        with_fault("fsync", "EIO", n, true, {kProbe, "checkpoint", at.string(), "2"}, injected);
    const Verdict after = check(at);
    EXPECT_EQ(after.broken, 0) << "from sync " << n << " on\n" << saved.output;
    EXPECT_GE(after.whole, 1) << "from sync " << n << " on";
    if (injected) {
      EXPECT_EQ(saved.code, 3) << "from sync " << n << " on";
      EXPECT_NE(saved.output.find("Input/output error"), std::string::npos) << saved.output;
    }
    // A disk that works again gets the work anew.
    EXPECT_EQ(probe("checkpoint", at, 2).code, 0);
    EXPECT_EQ(check(at).newest, 2);
    ASSERT_LT(n, 500);
  }
  EXPECT_GT(n, 15);
}

TEST_F(DiskFaultTest, WritesThatFailLoseNothingThatWasThere) {
  if (const std::string why = no_strace(); !why.empty()) GTEST_SKIP() << why;
  for (const char* const calls : {"write", "rename", "openat"}) {
    int n = 1;
    for (bool injected = true; injected; ++n) {
      const fs::path at = folder_ / (calls + std::to_string(n));
      make_run(at);
      ASSERT_EQ(probe("checkpoint", at, 1).code, 0);
      const Run saved =
          with_fault(calls, "ENOSPC", n, true, {kProbe, "checkpoint", at.string(), "2"}, injected);
      const Verdict after = check(at);
      EXPECT_EQ(after.broken, 0) << calls << " " << n << "\n" << saved.output;
      EXPECT_GE(after.whole, 1) << calls << " " << n << "\n" << saved.output;
      // What is opened last is only looked at.
      EXPECT_TRUE(saved.code != 0 || after.newest == 2) << calls << " " << n << "\n"
                                                        << saved.output;
      ASSERT_LT(n, 500);
    }
  }
}

TEST_F(DiskFaultTest, TheAgentsMemoryIsTheOldOneOrTheNew) {
  if (const std::string why = no_strace(); !why.empty()) GTEST_SKIP() << why;
  for (const auto& [calls, error] : {std::pair{"fsync,fdatasync", "EIO"},
                                     std::pair{"write", "ENOSPC"}, std::pair{"rename", "EROFS"}}) {
    int n = 1;
    for (bool injected = true; injected; ++n) {
      const fs::path at = folder_ / (std::string(calls).substr(0, 5) + std::to_string(n));
      make_run(at);
      ASSERT_EQ(probe("state", at, 1).code, 0);
      const Run saved =
          with_fault(calls, error, n, true, {kProbe, "state", at.string(), "2"}, injected);
      const Verdict after = check(at);
      EXPECT_TRUE(after.state == 1 || after.state == 2) << calls << " " << n << ": " << after.state;
      // The decision is on disk before the memory knows of it.
      EXPECT_GE(after.decision, after.state) << calls << " " << n;
      EXPECT_EQ(saved.code, injected ? 3 : 0) << calls << " " << n << "\n" << saved.output;
      ASSERT_LT(n, 100);
    }
  }
}

TEST_F(DiskFaultTest, ADiskThatIsFullAtAnyByteLosesNothing) {
  if (const std::string why = own_mounts(); !why.empty()) GTEST_SKIP() << why;
  const fs::path disk = folder_ / "disk";
  const long page = ::sysconf(_SC_PAGESIZE);
  bool fits = false;
  int failed = 0;
  for (long pages = 12; !fits; ++pages) {
    ASSERT_LT(pages, 300);
    ASSERT_EQ(mount_small(disk, static_cast<std::size_t>(pages * page)), "");
    make_run(disk);
    if (probe("checkpoint", disk, 1).code == 0) {
      const Run saved = probe("checkpoint", disk, 2);
      const Verdict after = check(disk);
      fits = saved.code == 0;
      EXPECT_EQ(after.broken, 0) << pages << " pages\n" << saved.output;
      EXPECT_EQ(after.newest, fits ? 2 : 1) << pages << " pages\n" << saved.output;
      if (!fits) {
        ++failed;
        EXPECT_NE(saved.output.find("No space left on device"), std::string::npos) << saved.output;
        // What is there can still be sent, with or without room for links to it.
        EXPECT_EQ(probe("freeze", disk, 1).code, 0);
        // And nothing is left of the failed one.
        for (const auto& entry : fs::directory_iterator(disk / "checkpoints")) {
          EXPECT_EQ(entry.path().filename(), "checkpoint-1");
        }
      }
    }
    unmount(disk);
  }
  EXPECT_GT(failed, 5);
}

TEST_F(DiskFaultTest, ADiskThatTurnsReadOnlyIsSaidSoAndStillRead) {
  if (const std::string why = own_mounts(); !why.empty()) GTEST_SKIP() << why;
  const fs::path disk = folder_ / "disk";
  ASSERT_EQ(mount_small(disk, 8 << 20), "");
  make_run(disk);
  ASSERT_EQ(probe("checkpoint", disk, 1).code, 0);
  ASSERT_EQ(probe("state", disk, 1).code, 0);
  ASSERT_EQ(::mount("none", disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, "size=8388608"), 0);
  for (const char* const verb : {"checkpoint", "state"}) {
    const Run tried = probe(verb, disk, 2);
    EXPECT_EQ(tried.code, 3) << verb;
    EXPECT_NE(tried.output.find("Read-only file system"), std::string::npos) << tried.output;
  }
  const Verdict after = check(disk);
  EXPECT_EQ(after.newest, 1);
  EXPECT_EQ(after.broken, 0);
  EXPECT_EQ(after.state, 1);
  // The upload is from the folder itself where nothing can be frozen.
  const Run frozen = probe("freeze", disk, 1);
  EXPECT_EQ(frozen.code, 0) << frozen.output;
  EXPECT_NE(frozen.output.find("checkpoints/checkpoint-1/adapter_model.safetensors"),
            std::string::npos)
      << frozen.output;
  unmount(disk);
}

}  // namespace
}  // namespace mayfly
