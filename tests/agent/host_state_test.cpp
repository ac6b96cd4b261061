// Asked for when something is already wrong, so it must not make it worse: a command that hangs, is
// missing or talks without end costs its time and no more.
#include "agent/host_state.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::chrono_literals;

TEST(HostStateTest, NamesMemoryDisksAndWhatIsMissing) {
  const std::string text = host_state({"/", "/no/such/folder"}, 2s);
  for (const char* part :
       {"MemTotal", "/: ", "MB free of", "/no/such/folder: No such", "GPUs", "--- kernel ---"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
}

TEST(HostStateTest, TakesWhatACommandSays) {
  std::string note;
  EXPECT_EQ(output_of({"sh", "-c", "echo out; echo err >&2"}, 10s, note), "out\nerr\n");
  EXPECT_EQ(note, "");
  EXPECT_EQ(output_of({"no-such-program-anywhere"}, 10s, note), "");
  EXPECT_EQ(note, "no-such-program-anywhere is not there");
}

TEST(HostStateTest, DoesNotWaitForOneThatHangs) {
  std::string note;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(output_of({"sh", "-c", "trap '' TERM; echo first; exec sleep 60"}, 300ms, note),
            "first\n");
  EXPECT_EQ(note, "sh did not answer in time");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(HostStateTest, KeepsNoMoreThanASensibleAmount) {
  std::string note;
  const std::string text = output_of({"sh", "-c", "yes | head -c 1000000"}, 10s, note);
  EXPECT_GE(text.size(), 64U << 10);
  EXPECT_LE(text.size(), (64U << 10) + 4096U);
}

}  // namespace
}  // namespace mayfly
