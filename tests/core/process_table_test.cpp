// Who is alive decides what is killed and when an instance is said to be gone. A wrong answer kills
// a stranger, or leaves something running.
#include "core/process_table.h"

#include <algorithm>
#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/spawn.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

pid_t start(std::vector<std::string> argv, std::vector<std::string> environment, bool own_session) {
  SpawnSpec spec;
  spec.argv = std::move(argv);
  spec.environment = std::move(environment);
  spec.own_session = own_session;
  const Result<pid_t> child = spawn(spec);
  EXPECT_TRUE(child);
  return child ? *child : -1;
}

TEST(ProcessTableTest, FindsThisProcess) {
  const auto self = find_process(::getpid());
  ASSERT_TRUE(self);
  EXPECT_EQ(self->parent, ::getppid());
  EXPECT_EQ(self->group, ::getpgrp());
  EXPECT_EQ(self->session, ::getsid(0));
  EXPECT_GT(self->start_ticks, 0U);
  EXPECT_TRUE(self->alive());
  const auto all = all_processes();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                          [](const ProcessInfo& process) { return process.pid == ::getpid(); }));
}

TEST(ProcessTableTest, AZombieIsNotAlive) {
  const pid_t child = start({"/bin/true"}, {}, false);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  const auto zombie = find_process(child);
  ASSERT_TRUE(zombie);
  EXPECT_FALSE(zombie->alive());
  EXPECT_EQ(*wait_for_exit(child, 1s), 0);
  EXPECT_FALSE(find_process(child));
}

TEST(ProcessTableTest, ReadsSessionAndVariablesOfAnother) {
  const pid_t child = start({"/bin/sleep", "30"}, {"MARK=a=b", "OTHER="}, true);
  const auto process = find_process(child);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->session, child);
  // The kernel shows the variables a moment after it lets the parent go on.
  for (int i = 0; i < 500 && !process_variable(child, "MARK").value; ++i) ::usleep(2000);
  EXPECT_EQ(process_variable(child, "MARK").value, "a=b");
  EXPECT_EQ(process_variable(child, "OTHER").value, "");
  EXPECT_EQ(process_variable(child, "MAR").value, std::nullopt);
  EXPECT_EQ(process_variable(child, "MAR").readable, Readable::yes);
  ::kill(child, SIGKILL);
  EXPECT_EQ(*wait_for_exit(child, 5s), 128 + SIGKILL);
}

TEST(ProcessTableTest, ABootHasAName) {
  EXPECT_EQ(boot_id().size(), 36U);
  EXPECT_EQ(boot_id(), boot_id());
}

}  // namespace
}  // namespace mayfly
