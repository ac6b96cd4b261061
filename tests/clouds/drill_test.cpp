// The paid drills, rehearsed: the scripts themselves, against fakes. A drill that fails for a
// reason of its own on the day would cost money and teach nothing; one whose reaper does not reap
// is worse.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "core/spawn.h"
#include "tests/clouds/rig.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// Time passes for the cloud as fast as for nobody else, until the test is over.
class Pump {
 public:
  explicit Pump(VirtualClock& clock)
      : thread_([this, &clock] {
          while (!over_) {
            clock.sleep_for(1s);
            std::this_thread::sleep_for(5ms);
          }
        }) {}
  ~Pump() {
    over_ = true;
    thread_.join();
  }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

class DrillTest : public TemporaryFolder {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists("/usr/bin/python3")) GTEST_SKIP() << "there is no python3 here";
    put("key.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDemo me@laptop\n");
  }
  void start(const CloudKind& kind) {
    kind_ = kind;
    cloud_ = kind.fake(clock_);
    cloud_->fleet.boot_takes = 0s;
    cloud_->fleet.end_takes = 0s;
    cloud_->fleet.shown_gone = std::chrono::hours(1000);
    cloud_->start();
  }
  Result<int> run(std::vector<std::string> command, const std::string& reaper_after) {
    std::string upper = kind_.name;
    for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
    SpawnSpec spec;
    spec.argv = std::move(command);
    spec.environment = {"PATH=/usr/bin:/bin",
                        "HOME=" + folder_.string(),
                        "TMPDIR=" + folder_.string(),
                        "DRILL_YES=yes",
                        "DRILL_KEY=" + (folder_ / "key.pub").string(),
                        "DRILL_REAPER_AFTER=" + reaper_after,
                        "DRILL_REAPER_PAUSE=0.1",
                        "DRILL_REAPER_CALM=0.5",
                        "no_proxy=127.0.0.1",
                        "CLOUD_DRILL=" MAYFLY_BINARY_DIR "/cloud_drill",
                        upper + "_API_KEY=" + FakeCloud::kKey,
                        upper + "_ENDPOINT=" + cloud_->endpoint()};
    spec.folder = folder_;
    spec.output = folder_ / "output";
    const Result<pid_t> started = spawn(spec);
    if (!started) return started.error();
    const Result<int> code = wait_for_exit(*started, 60s);
    output_ = *read_file(folder_ / "output");
    return code;
  }

  // A reaper goes on until nothing was seen for long; its cloud is gone before that.
  void TearDown() override {
    const std::string mark = "the reaper runs as process ";
    const auto at = output_.find(mark);
    const bool left = output_.find("the reaper goes on") != std::string::npos;
    if (at == std::string::npos || !left) return;
    const int reaper = std::atoi(output_.c_str() + at + mark.size());
    if (reaper > 1) ::kill(reaper, SIGKILL);
  }

  CloudKind kind_;
  VirtualClock clock_;
  std::unique_ptr<FakeCloud> cloud_;
  std::string output_;
};

TEST_F(DrillTest, RentsOneMachineAndEndsIt) {
  start(cloud_kinds().at(0));
  const auto code = run({MAYFLY_SOURCE_DIR "/drills/shadeform.sh"}, "600");
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 0) << output_;
  EXPECT_THAT(output_, HasSubstr("drill passed"));
  EXPECT_EQ(output_.find(FakeCloud::kKey), std::string::npos);
  EXPECT_EQ(cloud_->fleet.all().size(), 1U);
  EXPECT_EQ(cloud_->fleet.billing(), 0);
}

// The drill loses its machine: it was made, and the vendor says that it was not.
TEST_F(DrillTest, LeavesALostMachineToTheReaper) {
  start(cloud_kinds().at(0));
  cloud_->inject({Op::create, Harm::answer_after, {400, R"({"message":"no"})"}});
  const auto code = run({MAYFLY_SOURCE_DIR "/drills/shadeform.sh"}, "1.5");
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_NE(*code, 0) << output_;
  EXPECT_THAT(output_, HasSubstr("the reaper goes on"));
  for (int i = 0; i < 200 && cloud_->fleet.billing() > 0; ++i) std::this_thread::sleep_for(50ms);
  EXPECT_EQ(cloud_->fleet.billing(), 0);
}

TEST_F(DrillTest, ReapsWithEveryVendor) {
  for (std::size_t i = 0; i < 3; ++i) {
    start(cloud_kinds().at(i));
    const Pump pump(clock_);
    Machine& ours = cloud_->fleet.add(cloud_->types.front(), "r1");
    ours.name = "mf-d00000000000-1";
    ours.notes["tags"] = kind_.name == "shadeform" ? R"(["mayfly-run=d00000000000"])" : "[]";
    Machine& other = cloud_->fleet.add(cloud_->types.front(), "r1");
    other.name = "mf-d11111111111-1";
    other.notes["tags"] = "[]";
    const auto code = run({"/usr/bin/python3", MAYFLY_SOURCE_DIR "/drills/reaper.py", kind_.name,
                           "d00000000000", "0"},
                          "0");
    ASSERT_TRUE(code) << code.error().message;
    EXPECT_EQ(*code, 0) << output_;
    EXPECT_EQ(cloud_->fleet.billing(), 1) << kind_.name << ": " << output_;
    EXPECT_FALSE(cloud_->fleet.all().back().end_asked);
  }
}

}  // namespace
}  // namespace mayfly
