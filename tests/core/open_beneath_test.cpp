// A process with more rights than the owner of a folder must not be led out of it: by a link in the
// place of the file, or of a folder on the way, or by something that is no file.
#include "core/open_beneath.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class OpenBeneathTest : public TemporaryFolder {
 protected:
  OpenBeneathTest() {
    put("secret/agent.log", "secret");
    put("run/logs/agent.log", "first\n");
  }
  ErrorKind refusal(const fs::path& relative, int flags) {
    const auto file = open_beneath(folder_ / "run", relative, flags);
    EXPECT_FALSE(file) << relative;
    return file ? ErrorKind::internal : file.error().kind;
  }
};

constexpr int kAppend = O_WRONLY | O_APPEND | O_CREAT;

TEST_F(OpenBeneathTest, OpensAndMakesFiles) {
  for (const char* name : {"logs/agent.log", "logs/new.log", "top.log"}) {
    const auto file = open_beneath(folder_ / "run", name, kAppend);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_EQ(::write(file->get(), "line\n", 5), 5);
  }
  EXPECT_EQ(*read_file(folder_ / "run/logs/agent.log"), "first\nline\n");
  EXPECT_EQ(*read_file(folder_ / "run/top.log"), "line\n");
  EXPECT_EQ(refusal("logs/none", O_RDONLY), ErrorKind::not_found);
}

TEST_F(OpenBeneathTest, FollowsALinkToTheRootItself) {
  fs::create_directory_symlink(folder_ / "run", folder_ / "link");
  EXPECT_TRUE(open_beneath(folder_ / "link", "logs/agent.log", O_RDONLY));
}

TEST_F(OpenBeneathTest, ALinkInTheFilesPlaceIsRefused) {
  fs::remove(folder_ / "run/logs/agent.log");
  fs::create_symlink(folder_ / "secret/agent.log", folder_ / "run/logs/agent.log");
  fs::create_symlink(folder_ / "not-there-yet", folder_ / "run/logs/dangling");
  EXPECT_EQ(refusal("logs/agent.log", O_RDONLY), ErrorKind::refused);
  EXPECT_EQ(refusal("logs/agent.log", kAppend), ErrorKind::refused);
  EXPECT_EQ(refusal("logs/dangling", kAppend), ErrorKind::refused);
  EXPECT_FALSE(fs::exists(folder_ / "not-there-yet"));
}

TEST_F(OpenBeneathTest, ALinkOnTheWayIsRefused) {
  fs::remove_all(folder_ / "run/logs");
  fs::create_directory_symlink(folder_ / "secret", folder_ / "run/logs");
  EXPECT_EQ(refusal("logs/agent.log", O_RDONLY), ErrorKind::refused);
  EXPECT_EQ(refusal("logs/agent.log", kAppend), ErrorKind::refused);
  EXPECT_EQ(refusal("../secret/agent.log", O_RDONLY), ErrorKind::refused);
}

// Nor does it wait for somebody at the other end of a pipe.
TEST_F(OpenBeneathTest, WhatIsNoFileIsRefused) {
  ASSERT_EQ(::mkfifo((folder_ / "run/pipe").c_str(), 0600), 0);
  EXPECT_EQ(refusal("pipe", O_RDONLY), ErrorKind::refused);
  EXPECT_EQ(refusal("logs", O_RDONLY), ErrorKind::refused);
}

// The name of a temporary file can be guessed.
TEST_F(OpenBeneathTest, AFileThatIsReplacedIsNotWrittenThroughAPlantedLink) {
  const fs::path planted = folder_ / ("run/status.json.tmp." + std::to_string(::getpid()));
  fs::create_symlink(folder_ / "secret/agent.log", planted);
  ASSERT_TRUE(write_file(folder_ / "run/status.json", "{}"));
  EXPECT_EQ(*read_file(folder_ / "secret/agent.log"), "secret");
  EXPECT_EQ(*read_file(folder_ / "run/status.json"), "{}");
}

}  // namespace
}  // namespace mayfly
