// The program as a launcher starts it: it says where it is, ends by itself, and two of them never
// share a port or a folder.
#include <array>
#include <cstdio>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/exit_code.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Ended {
  int code = -1;
  std::string output;
};

class LocalhubProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("localhub_program_test." + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    fs::remove_all(folder_);
  }
  // Runs it to its end, which comes by --idle-exit at the latest.
  Ended run(const std::string& options) {
    const std::string command = "timeout 20 '" MAYFLY_BINARY_DIR "/localhub' " + options + " 2>&1";
    Ended ended;
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> block;
    for (std::size_t got = 1; got > 0;) {
      got = std::fread(block.data(), 1, block.size(), pipe);
      ended.output.append(block.data(), got);
    }
    ended.code = WEXITSTATUS(::pclose(pipe));
    return ended;
  }
  std::string root(const std::string& name = "root") const {
    return "--root " + (folder_ / name).string() + " ";
  }
  fs::path folder_;
};

TEST_F(LocalhubProgramTest, SaysWhereItIsAndEndsWhenUnused) {
  const fs::path ready = folder_ / "ready.json";
  const Ended ended = run(root() + "--idle-exit 1s --ready-file " + ready.string());
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("http://127.0.0.1:"));
  const auto text = read_file(ready);
  ASSERT_TRUE(text);
  const auto json = nlohmann::json::parse(*text);
  EXPECT_GT(json["port"].get<int>(), 0);
  EXPECT_GT(json["pid"].get<int>(), 0);
  EXPECT_EQ(json["endpoint"], "http://127.0.0.1:" + std::to_string(json["port"].get<int>()));
  EXPECT_TRUE(fs::exists(folder_ / "root" / "token"));
}

TEST_F(LocalhubProgramTest, RefusesAPortInUse) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const Ended ended =
      run(root() + "--idle-exit 1s --port " + std::to_string(ntohs(address.sin_port)));
  ::close(fd);
  EXPECT_EQ(ended.code, static_cast<int>(ExitCode::usage));
  EXPECT_THAT(ended.output, HasSubstr("error: port"));
  EXPECT_THAT(ended.output, HasSubstr("hint: "));
}

TEST_F(LocalhubProgramTest, TwoNeverServeOneFolder) {
  // The first is asked to run the second while it serves.
  const fs::path ready = folder_ / "ready.json";
  const std::string program = "'" MAYFLY_BINARY_DIR "/localhub' ";
  const Ended ended = run(root() + "--idle-exit 3s --ready-file " + ready.string() +
                          " & while [ ! -e " + ready.string() + " ]; do sleep 0.05; done; " +
                          program + root() + "--idle-exit 1s 2>&1; echo second $?; wait");
  EXPECT_THAT(ended.output, HasSubstr("another localhub serves"));
  EXPECT_THAT(ended.output, HasSubstr("second 2"));
}

TEST_F(LocalhubProgramTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(run(root() + "--idle-exit soon").code, 2);
  EXPECT_EQ(run(root() + "--idle-exit 0").code, 2);
  EXPECT_EQ(run(root() + "--port 99999").code, 2);
  EXPECT_EQ(run(root() + "--unknown").code, 2);
  EXPECT_EQ(run(root() + "--part-size 0").code, 2);
  ASSERT_TRUE(write_file(folder_ / "faults.json", R"([{"do":"explode"}])"));
  const Ended bad_faults = run(root() + "--faults " + (folder_ / "faults.json").string());
  EXPECT_EQ(bad_faults.code, 2);
  EXPECT_THAT(bad_faults.output, HasSubstr("explode"));
}

TEST_F(LocalhubProgramTest, ListsAFolderWithoutServing) {
  EXPECT_EQ(run("ls " + root("absent")).code, static_cast<int>(ExitCode::not_found));
  ASSERT_EQ(run(root() + "--idle-exit 1s").code, 0);
  const Ended listed = run("ls " + root());
  EXPECT_EQ(listed.code, 0) << listed.output;
}

}  // namespace
}  // namespace mayfly
