// The power goes: what a disk then holds is what its device was given, in the order it was given.
// A file system in an image lives through checkpoints, rotation and the agent's memory; at moments
// drawn by seed the image's bytes are copied, which is what a power cut leaves, and the copy is
// mounted (its journal replays). Whatever had been told of must be there and whole, everything that
// is called a checkpoint must be one, and after the first there is never none.
//
// Twenty moments on ext4; with MAYFLY_SOAK set (ctest label soak) five hundred, and XFS too where
// the kernel has it and mkfs.xfs is installed.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/atomic_file.h"
#include "tests/disk/own_mounts.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

bool is_soak() {
  const char* const soak = std::getenv("MAYFLY_SOAK");
  return soak != nullptr && *soak != '\0';
}

struct FileSystem {
  const char* name;
  off_t bytes;
  std::vector<std::string> make;
};

// Copies what is there of a sparse file.
bool copy_image(const fs::path& from, const fs::path& to) {
  const int in = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = ::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  struct stat info {};
  bool done = in >= 0 && out >= 0 && ::fstat(in, &info) == 0 && ::ftruncate(out, info.st_size) == 0;
  for (off_t at = 0; done && at < info.st_size;) {
    const off_t begin = ::lseek(in, at, SEEK_DATA);
    if (begin < 0) break;
    const off_t end = ::lseek(in, begin, SEEK_HOLE);
    ::lseek(out, begin, SEEK_SET);
    off_t offset = begin;
    while (offset < end && done) {
      done = ::sendfile(out, in, &offset, static_cast<std::size_t>(end - offset)) > 0;
    }
    at = end;
  }
  ::close(in);
  ::close(out);
  return done;
}

// disk_probe loop on a mounted image; what it has told of so far.
class Writer {
 public:
  explicit Writer(const fs::path& run) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::execl(MAYFLY_DISK_PROBE, MAYFLY_DISK_PROBE, "loop", run.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    told_ = ends[0];
    ::fcntl(told_, F_SETFL, O_NONBLOCK);
  }
  ~Writer() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    ::close(told_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  void hold() {
    ::kill(child_, SIGSTOP);
    int status = 0;
    ::waitpid(child_, &status, WUNTRACED);
    EXPECT_TRUE(WIFSTOPPED(status)) << "the writer ended: " << status;
  }
  void go_on() {
    ::kill(child_, SIGCONT);
  }
  long last_told() {
    char block[4096];
    for (ssize_t got; (got = ::read(told_, block, sizeof block)) > 0;) {
      text_.append(block, static_cast<std::size_t>(got));
    }
    const auto end = text_.rfind('\n');
    if (end == std::string::npos) return 0;
    const auto begin = end == 0 ? std::string::npos : text_.rfind('\n', end - 1);
    return std::atol(text_.c_str() + (begin == std::string::npos ? 0 : begin + 1));
  }

 private:
  pid_t child_ = -1;
  int told_ = -1;
  std::string text_;
};

class PowerCutTest : public testing::Test {
 protected:
  void SetUp() override {
    // In memory: the image is the disk, and what counts is what reached it.
    folder_ = fs::path("/dev/shm") / ("power_cut." + std::to_string(::getpid()));
    fs::create_directories(folder_ / "live/x");
    fs::create_directories(folder_ / "after");
  }
  void TearDown() override {
    unmount(folder_ / "live");
    unmount(folder_ / "after");
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::string mount_image(const fs::path& image, const fs::path& folder, const std::string& type) {
    // A copy has the same name of itself as the image it is of, which XFS refuses unless told.
    const std::string options = type == "xfs" ? "loop,nouuid" : "loop";
    return run_tool({"mount", "-t", type, "-o", options, image.string(), folder.string()},
                    folder_ / "tools");
  }
  // "<newest> <whole> <broken> <state> <last decision>" of a run.
  std::string checked(const fs::path& run) {
    const fs::path output = folder_ / "checked";
    fs::remove(output);
    EXPECT_EQ(run_tool({MAYFLY_DISK_PROBE, "check", run.string()}, output), "");
    const auto text = read_file(output);
    return text ? *text : "";
  }
  void cut(const FileSystem& type, int points, unsigned seed);

  fs::path folder_;
};

void PowerCutTest::cut(const FileSystem& type, int points, unsigned seed) {
  if (const std::string why = own_mounts(); !why.empty()) GTEST_SKIP() << why;
  const fs::path image = folder_ / "image";
  const fs::path copy = folder_ / "copy";
  {
    const int fd = ::open(image.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ASSERT_EQ(::ftruncate(fd, type.bytes), 0);
    ::close(fd);
  }
  std::vector<std::string> make = type.make;
  make.push_back(image.string());
  if (const std::string why = run_tool(make, folder_ / "tools"); !why.empty()) GTEST_SKIP() << why;
  if (const std::string why = mount_image(image, folder_ / "live", type.name); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const fs::path run = folder_ / "live/run";
  for (const char* part : {"model", "checkpoints", "agent/uploaded"}) {
    fs::create_directories(run / part);
  }
  ASSERT_TRUE(write_file(run / "model/tokenizer.json", "{}"));
  ::sync();

  std::mt19937 random(seed);
  std::uniform_int_distribution<int> microseconds(0, 60'000);
  Writer writer(run);
  while (writer.last_told() < 1) std::this_thread::sleep_for(1ms);
  for (int point = 0; point < points; ++point) {
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
    writer.hold();
    const long told = writer.last_told();
    ASSERT_TRUE(copy_image(image, copy));
    writer.go_on();
    ASSERT_EQ(mount_image(copy, folder_ / "after", type.name), "");
    const std::string after = checked(folder_ / "after/run");
    long newest = -1, state = -1, decision = -1;
    int whole = 0, broken = 0;
    const auto last_line = after.rfind('\n', after.size() - 2);
    const std::string line = after.substr(last_line == std::string::npos ? 0 : last_line + 1);
    ASSERT_EQ(
        std::sscanf(line.c_str(), "%ld %d %d %ld %ld", &newest, &whole, &broken, &state, &decision),
        5)
        << after;
    const std::string where = std::string(type.name) + " point " + std::to_string(point) +
                              " seed " + std::to_string(seed) + ", told of " +
                              std::to_string(told) + ": " + after;
    EXPECT_GE(newest, told) << where;
    EXPECT_EQ(broken, 0) << where;
    EXPECT_GE(whole, 1) << where;
    EXPECT_GE(state, told) << where;
    EXPECT_GE(decision, state) << where;
    ASSERT_EQ(::umount2((folder_ / "after").c_str(), 0), 0);
  }
  EXPECT_GT(writer.last_told(), points / 10) << "too little happened between the cuts";
  std::cout << "figures: " << type.name << ", points " << points << ", all loaded "
            << (HasFailure() ? "no" : "yes") << std::endl;
}

TEST_F(PowerCutTest, Ext4KeepsWhatWasToldOf) {
  cut({"ext4", 32 << 20, {"mkfs.ext4", "-q", "-F"}}, is_soak() ? 500 : 20, 1);
}

TEST_F(PowerCutTest, XfsKeepsWhatWasToldOf) {
  cut({"xfs", 320 << 20, {"mkfs.xfs", "-q", "-f"}}, is_soak() ? 500 : 5, 2);
}

}  // namespace
}  // namespace mayfly
