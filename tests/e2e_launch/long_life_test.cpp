// An agent that lives long: many checkpoints saved, uploaded and let go. What must not happen: that
// it grows until the kernel takes it, with nobody left to end the machine.
#include <fstream>
#include <iostream>

#include "tests/e2e_launch/launch_fixture.h"
#include "tests/fakes/process_words.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int kCheckpoints = 40;
constexpr int kSoakCheckpoints = 500;

struct Holdings {
  long resident_kb = 0;
  long files = 0;            // open ones
  std::uintmax_t bytes = 0;  // of the agent's folder
};

class LongLifeTest : public LaunchTest {
 protected:
  // 0: there is none.
  pid_t agent() const {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(root / "state/local", code)) {
      const auto record = read_local_record(entry.path());
      if (!record) continue;
      for (const ProcessInfo& process : processes_of(*record)) {
        if (words_of(process.pid).find("/bin/agent run") != std::string::npos) return process.pid;
      }
    }
    return 0;
  }

  // nullopt: it, or a folder of it, ended meanwhile.
  std::optional<Holdings> look_at(pid_t pid) const {
    const fs::path folder = fs::path("/proc") / std::to_string(pid);
    Holdings seen;
    std::ifstream status(folder / "status");
    for (std::string word; status >> word;) {
      if (word == "VmRSS:") status >> seen.resident_kb;
    }
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder / "fd", code)) {
      seen.files += !entry.path().empty();
    }
    // Folders of uploads come and go meanwhile.
    fs::recursive_directory_iterator entry(root / "outputs/one/agent", code);
    for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
      std::error_code gone;
      const auto bytes = entry->file_size(gone);
      if (!gone && entry->is_regular_file(gone)) seen.bytes += bytes;
    }
    if (code) return std::nullopt;
    if (seen.resident_kb == 0 || seen.files == 0) return std::nullopt;
    return seen;
  }
};

TEST_F(LongLifeTest, HoldsNoMoreAtTheEndThanAtTheBeginning) {
  const int checkpoints = std::getenv("MAYFLY_SOAK") != nullptr ? kSoakCheckpoints : kCheckpoints;
  const Answer started = run("launch",
                             "run.yaml --price 36 --set generate.vars.steps_per_epoch=1 "
                             "--set generate.vars.step_ms=250 --set train.epochs=" +
                                 std::to_string(checkpoints));
  ASSERT_EQ(started.code, 0) << started.out << started.err;
  ASSERT_TRUE(wait_for([this] { return agent() != 0; }, 30s));
  const pid_t pid = agent();
  std::vector<Holdings> seen;
  while (const auto now = look_at(pid)) {
    seen.push_back(*now);
    std::this_thread::sleep_for(100ms);
  }
  ASSERT_TRUE(wait_for([this] { return status_of("one")["receipt"] == "confirmed"; }, 60s));
  EXPECT_GT(branches("local/one").size(), 2U);

  // The first quarter is for what is made once.
  const std::size_t quarter = seen.size() / 4;
  ASSERT_GT(quarter, 5U);
  Holdings first, rest;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    Holdings& most = i < quarter ? first : rest;
    most.resident_kb = std::max(most.resident_kb, seen[i].resident_kb);
    most.files = std::max(most.files, seen[i].files);
    most.bytes = std::max(most.bytes, seen[i].bytes);
  }
  std::cout << "figures: checkpoints " << checkpoints << ", memory " << first.resident_kb / 1000
            << " MB in the first quarter, at most " << rest.resident_kb / 1000
            << " MB after it, open files " << first.files << " and " << rest.files
            << ", bytes in its folder " << first.bytes << " and " << rest.bytes << "\n";
#if !defined(__SANITIZE_ADDRESS__)  // which keeps freed memory
  EXPECT_LE(rest.resident_kb, first.resident_kb + 5000);
#endif
  EXPECT_LE(rest.files, first.files + 4);  // connections of an upload
  // The journal of decisions grows with them.
  constexpr std::uintmax_t kOfACheckpoint = 20'000;
  EXPECT_LE(rest.bytes, first.bytes + kOfACheckpoint * static_cast<unsigned>(checkpoints));
}

}  // namespace
}  // namespace mayfly
