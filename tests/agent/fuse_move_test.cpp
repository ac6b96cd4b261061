// A fuse that is not moved ends a run that somebody paid to go on; one that moves back ends it
// early.
#include "agent/fuse_move.h"

#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class FuseMoveTest : public TemporaryFolder {
 protected:
  FuseMoveTest() {
    ::setenv("MAYFLY_ROOT", folder_.c_str(), 1);
    fs::create_directories(folder_ / "opt/mayfly");
    fs::copy_file(fs::path(MAYFLY_SOURCE_DIR) / "cloud-init/fuse.sh", fuse_script());
  }
  ~FuseMoveTest() override {
    ::unsetenv("MAYFLY_ROOT");
  }

  void deadline_in(long seconds) {
    put("opt/mayfly/fuse-deadline", std::to_string(uptime() + seconds) + "\n");
  }
  long left() const {
    return std::stol(*read_file(folder_ / "opt/mayfly/fuse-deadline")) - uptime();
  }
  static long uptime() {
    std::ifstream in("/proc/uptime");
    double seconds = 0;
    in >> seconds;
    return static_cast<long>(seconds);
  }
  static Status result_of(FuseMove& move) {
    for (;;) {
      if (const auto result = move.take_result()) return *result;
      std::this_thread::sleep_for(2ms);
    }
  }
};

TEST_F(FuseMoveTest, MovesTheDeadlineAwayAndNeverBack) {
  deadline_in(100);
  FuseMove move(fuse_script());
  EXPECT_FALSE(move.take_result());
  move.start(4000s);
  ASSERT_TRUE(result_of(move));
  EXPECT_FALSE(move.take_result());
  EXPECT_NEAR(static_cast<double>(left()), 4000.0, 2.0);
  move.start(50s);
  ASSERT_TRUE(result_of(move));
  EXPECT_GT(left(), 3000);
}

TEST_F(FuseMoveTest, AnInstanceWithoutAFuseSaysSo) {
  fs::remove(fuse_script());
  FuseMove move(fuse_script());
  move.start(10s);
  const Status moved = result_of(move);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace mayfly
