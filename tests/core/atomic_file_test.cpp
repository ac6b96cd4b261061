// A file that is half there after a crash is worse than none: these guard the rename discipline.
#include "core/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/sha256.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class AtomicFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("atomic_file_test." + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    fs::remove_all(folder_);
  }
  fs::path folder_;
};

TEST_F(AtomicFileTest, ReplacesInOneStepAndLeavesNothingBeside) {
  const fs::path file = folder_ / "state.json";
  ASSERT_TRUE(write_file(file, "one"));
  ASSERT_TRUE(write_file(file, "two", 0600));
  EXPECT_EQ(*read_file(file), "two");
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(AtomicFileTest, KeepsTheOldContentWhenTheDiskIsFull) {
  const Status full = write_file("/dev/full/x", "bytes");
  ASSERT_FALSE(full);
  const Status appended = append_line("/dev/full", "bytes");
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().kind, ErrorKind::no_space);
}

TEST_F(AtomicFileTest, PublishesAFolderOnlyWhereNoneIs) {
  fs::create_directories(folder_ / ".new" / "inner");
  ASSERT_TRUE(write_file(folder_ / ".new" / "inner" / "a", "1"));
  ASSERT_TRUE(publish_folder(folder_ / ".new", folder_ / "done"));
  EXPECT_EQ(*read_file(folder_ / "done" / "inner" / "a"), "1");
  fs::create_directories(folder_ / ".again");
  EXPECT_FALSE(publish_folder(folder_ / ".again", folder_ / "done"));
}

TEST_F(AtomicFileTest, SaysWhatIsMissing) {
  const auto missing = read_file(folder_ / "nowhere");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
}

// A disk that cannot be read to the end of a file has not shown all of it: nothing is mapped at the
// beginning of a process's memory, which answers with EIO.
TEST_F(AtomicFileTest, WhatCannotBeReadIsNoShorterFile) {
  const auto unread = read_file("/proc/self/mem");
  ASSERT_FALSE(unread);
  EXPECT_EQ(unread.error().kind, ErrorKind::corrupt);
}

TEST_F(AtomicFileTest, ReadsFilesOfAnyLength) {
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 100'000U}) {
    const std::string text(size, 'x');
    ASSERT_TRUE(write_file(folder_ / "text", text));
    EXPECT_EQ(*read_file(folder_ / "text"), text);
  }
  EXPECT_NE(read_file("/proc/self/status")->find("VmRSS:"), std::string::npos);
}

// `printf hello | git hash-object --stdin` and `printf hello | sha256sum`.
TEST(DigestTest, EqualsGitAndSha256sum) {
  EXPECT_EQ(git_blob_id("hello"), "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0");
  EXPECT_EQ(sha256_hex("hello"),
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

}  // namespace
}  // namespace mayfly
