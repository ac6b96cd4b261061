#include "core/file_lock.h"

#include <filesystem>
#include <optional>
#include <thread>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class FileLockTest : public testing::Test {
 protected:
  FileLockTest() {
    std::string name = (std::filesystem::temp_directory_path() / "file_lock_XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~FileLockTest() override {
    std::filesystem::remove_all(folder);
  }
  std::filesystem::path folder;
};

TEST_F(FileLockTest, IsHeldByOneAtATimeAndLetGoAtItsEnd) {
  std::optional<Result<FileLock>> first(FileLock::take(folder / "lock"));
  ASSERT_TRUE(*first);
  const Result<FileLock> second = FileLock::take(folder / "lock", 0ms);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::unreachable);
  first.reset();
  EXPECT_TRUE(FileLock::take(folder / "lock", 0ms));
}

TEST_F(FileLockTest, WaitsForTheOtherOne) {
  std::optional<Result<FileLock>> first(FileLock::take(folder / "lock"));
  std::thread other([&first] {
    std::this_thread::sleep_for(100ms);
    first.reset();
  });
  EXPECT_TRUE(FileLock::take(folder / "lock", 60s));
  other.join();
}

TEST_F(FileLockTest, NamesAFileThatCannotBeOpened) {
  const Result<FileLock> lock = FileLock::take(folder / "none/lock");
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().message.find("none/lock"), std::string::npos);
}

}  // namespace
}  // namespace mayfly
