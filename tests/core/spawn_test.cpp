// A child that inherits a token, a descriptor or a blocked signal is a leak that nobody sees.
#include "core/spawn.h"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/process_table.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class SpawnTest : public TemporaryFolder {};

TEST_F(SpawnTest, GivesOnlyTheEnvironmentAndNoDescriptorsOfOurs) {
  ::setenv("CANARY_TOKEN", "hf_secret", 1);
  const int leaky = ::open("/dev/null", O_RDONLY);  // no O_CLOEXEC, on purpose
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "env; ls /proc/self/fd; pwd"};
  spec.environment = {"PATH=/usr/bin:/bin", "GIVEN=yes"};
  spec.folder = folder_;
  spec.output = folder_ / "out";
  const Result<pid_t> child = spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(*wait_for_exit(*child, 5s), 0);
  const std::string out = *read_file(folder_ / "out");
  EXPECT_NE(out.find("GIVEN=yes"), std::string::npos) << out;
  EXPECT_EQ(out.find("CANARY_TOKEN"), std::string::npos) << out;
  EXPECT_NE(out.find(folder_.string()), std::string::npos) << out;
  // ls itself has one open, for the folder it reads.
  EXPECT_NE(out.find("\n0\n1\n2\n3\n"), std::string::npos) << out;
  EXPECT_EQ(out.find("\n4\n"), std::string::npos) << out;
  ::close(leaky);
  ::unsetenv("CANARY_TOKEN");
}

TEST_F(SpawnTest, TheChildsSignalsAreAtTheirDefaults) {
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &set, &before);
  SpawnSpec spec;
  spec.argv = {"/bin/sleep", "30"};
  const Result<pid_t> child = spawn(spec);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(child);
  ::kill(*child, SIGTERM);
  EXPECT_EQ(*wait_for_exit(*child, 5s), 128 + SIGTERM);
}

TEST_F(SpawnTest, AProgramThatIsNotThereIsSaidSo) {
  SpawnSpec spec;
  spec.argv = {(folder_ / "nothing").string()};
  const Result<pid_t> child = spawn(spec);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, ErrorKind::not_found);
}

TEST_F(SpawnTest, WaitingHasALimit) {
  SpawnSpec spec;
  spec.argv = {"/bin/sleep", "30"};
  spec.own_group = true;
  const Result<pid_t> child = spawn(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(find_process(*child)->group, *child);
  EXPECT_EQ(wait_for_exit(*child, 10ms).error().kind, ErrorKind::unreachable);
  ::kill(-*child, SIGKILL);
  EXPECT_EQ(*wait_for_exit(*child, 5s), 128 + SIGKILL);
  EXPECT_EQ(wait_for_exit(*child, 10ms).error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace mayfly
