// By this a machine is found to lack libraries: a wrong yes costs gigabytes, a wrong no the run.
#include "agent/trainer_libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;

// As glibc 2.36 prints it.
constexpr const char* kList =
    "\tlinux-vdso.so.1 (0x00007ffc)\n"
    "\tlibtorch_cpu.so => /x/torch/lib/libtorch_cpu.so (0x00007f1)\n"
    "\tlibc10.so => not found\n"
    "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f2)\n"
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f3)\n";

TEST(TrainerLibrariesTest, ReadsWhatTheLoaderSays) {
  const TrainerLibraries libraries = read_library_list(kList, "");
  EXPECT_THAT(libraries.missing, ElementsAre("libc10.so"));
  EXPECT_EQ(libraries.torch, "/x/torch/lib");
  EXPECT_FALSE(libraries.are_complete());
  EXPECT_TRUE(read_library_list("\tstatically linked\n", "").are_complete());
}

TEST(TrainerLibrariesTest, ReadsThatALibraryIsTooOld) {
  const TrainerLibraries libraries = read_library_list(
      "", "train: /lib/libc.so.6: version `GLIBC_2.38' not found (required by train)\n");
  EXPECT_FALSE(libraries.are_complete());
  EXPECT_NE(libraries.trouble.find("GLIBC_2.38"), std::string::npos);
}

TEST(TrainerLibrariesTest, AsksAboutARealProgram) {
  const auto libraries =
      libraries_of(std::filesystem::path(MAYFLY_BINARY_DIR) / "fake_trainer", "/nowhere");
  ASSERT_TRUE(libraries) << libraries.error().message;
  EXPECT_TRUE(libraries->are_complete());
  EXPECT_TRUE(libraries->torch.empty());
}

}  // namespace
}  // namespace mayfly
