// The list that a paid machine fetches 2.5 GB by: a row that is wrong would be noticed only there.
#include "core/run/runtime.h"

#include <set>

#include <gtest/gtest.h>

#include "core/atomic_file.h"

namespace mayfly {
namespace {

TEST(RuntimeTest, PinsEveryWheelByAddressSizeAndHash) {
  const auto wheels = pinned_runtime(true);
  ASSERT_EQ(wheels.size(), 15u);
  std::set<std::string> names;
  for (const PlannedWheel& wheel : wheels) {
    EXPECT_TRUE(wheel.url.starts_with("https://files.pythonhosted.org/packages/")) << wheel.url;
    EXPECT_TRUE(wheel.url.ends_with("x86_64.whl")) << wheel.url;
    EXPECT_EQ(wheel.sha256.size(), 64u);
    EXPECT_GT(wheel.bytes, 0);
    EXPECT_FALSE(wheel.files.empty()) << wheel.name;
    for (const PlannedFile& file : wheel.files) {
      EXPECT_TRUE(leads_below(file.name)) << file.name;
      EXPECT_TRUE(names.insert(file.name).second) << "twice: " << file.name;
    }
  }
  EXPECT_TRUE(names.contains("torch/lib/libtorch_cuda.so"));
  EXPECT_TRUE(names.contains("nvidia/cu13/lib/libcublasLt.so.13"));
}

TEST(RuntimeTest, TakesWithoutAGpuOnlyWhatTheProcessorNeeds) {
  const auto wheels = pinned_runtime(false);
  ASSERT_EQ(wheels.size(), 3u);
  EXPECT_EQ(wheels[0].files.size(), 3u);
  EXPECT_LT(unpacked_bytes(wheels), 500'000'000);
}

// The programs here and on the rented machine must be of the same libtorch: its ABI is its
// version's.
TEST(RuntimeTest, IsOfTheWheelThatTheTrainerIsBuiltWith) {
  const std::filesystem::path source = MAYFLY_SOURCE_DIR;
  const auto built_with = read_file(source / "requirements/libtorch.txt");
  ASSERT_TRUE(built_with);
  for (const PlannedWheel& wheel : pinned_runtime(false)) {
    EXPECT_NE(built_with->find(wheel.sha256), std::string::npos) << wheel.name;
  }
}

TEST(RuntimeTest, CountsBytes) {
  const std::vector<PlannedWheel> wheels = {{"a", "", "", 10, {{"x", 3}, {"y", 4}}},
                                            {"b", "", "", 20, {{"z", 5}}}};
  EXPECT_EQ(download_bytes(wheels), 30);
  EXPECT_EQ(unpacked_bytes(wheels), 12);
  EXPECT_EQ(disk_bytes(wheels), 32);
  EXPECT_EQ(disk_bytes({}), 0);
}

TEST(RuntimeTest, RefusesRowsThatAreNone) {
  const std::string wheel = "wheel any a 1 ff 10 https://x/a.whl\n";
  ASSERT_TRUE(parse_runtime("# a comment\n\n" + wheel + "file gpu x 3\nfile any y 4\n", false));
  EXPECT_EQ(parse_runtime(wheel + "file gpu x 3\nfile any y 4\n", false)->at(0).files.size(), 1u);
  for (const std::string row :
       {"wheel", "wheel any a 1 ff 10", "wheel some a 1 ff 10 u", "file any x", "file any x -1",
        "file any x ten", "file any x 3 4", "thing any x 3"}) {
    EXPECT_FALSE(parse_runtime(wheel + row + "\n", true)) << row;
  }
  EXPECT_FALSE(parse_runtime("file any x 3\n", true));
}

TEST(RuntimeTest, KnowsWhereANameLeads) {
  for (const char* name : {"a", "a/b.so.1", "..a/b", "a..b"})
    EXPECT_TRUE(leads_below(name)) << name;
  for (const char* name : {"", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "a\\b"}) {
    EXPECT_FALSE(leads_below(name)) << name;
  }
  EXPECT_FALSE(leads_below(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace mayfly
