// The agent killed with -9 at the n-th system call of a kind, for the kinds and numbers that a
// whole run makes: between any two things that reach the outside there is a point at which it died.
// The first life runs under strace, which kills it; the next ones run as they are.
//
// Points: 100, chosen by a seed among all there are; MAYFLY_KILL_POINTS for more, MAYFLY_KILL_POINT
// for one alone, such as fdatasync-3.
#include <iostream>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "tests/e2e_kill/disturbed_runs.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSeed = 20261122;
constexpr int kMostOfAKind = 50;

// The n-th call of a kind, by any thread of the agent or by its main thread.
struct KillPoint {
  std::string call;
  int number = 1;
  bool any_thread = true;
};
struct CallCounts {
  std::map<std::string, int> all_threads, main_thread;
};

class SyscallKillTest : public DisturbedRuns {
 protected:
  SyscallKillTest() : DisturbedRuns("fake_trainer") {
    at_once_ = 10;  // they wait more than they work
    // The agent starts the trainer that stands beside it.
    fs::create_directories(real_);
    fs::copy_file(binaries_ / "agent", real_ / "agent");
    fs::copy_file(binaries_ / "fake_trainer", real_ / "train");
  }

  // A run whose agent's first life is started by `strace OPTIONS`.
  Trial make_traced(const std::string& name, const std::string& options) {
    const fs::path folder = root_ / "traced" / name;
    fs::create_directories(folder);
    const std::string agent = "'" + (real_ / "agent").string() + "' \"$@\"";
    std::ofstream(folder / "agent")
        << "#!/bin/sh\n"
        << "if [ \"$1\" = run ] && mkdir '" << folder.string() << "/first' 2>/dev/null; then\n"
        << "  exec strace -qqq -o '" << trace_of(name).string() << "' " << options << " " << agent
        << "\nfi\nexec " << agent << "\n";
    fs::permissions(folder / "agent", fs::perms::owner_all);
    Trial run = make_run(name);
    run.plan.programs[0] = program("agent", folder / "agent");
    run.plan.config.generate.vars = {{"steps_per_epoch", "3"}, {"step_ms", "20"}};
    return run;
  }
  fs::path trace_of(const std::string& name) const {
    return root_ / "traced" / name / "strace.txt";
  }

  // The same of the program alone, which does nothing.
  std::map<std::string, int> calls_of_version() {
    fs::create_directories(trace_of("version").parent_path());
    const std::string command = "strace -f -qqq -o '" + trace_of("version").string() + "' '" +
                                (real_ / "agent").string() + "' --version > /dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return calls_of("version").all_threads;
  }

  // How often each kind of call is made by the agent's thread that makes it most. strace counts for
  // each thread and for each child up to its exec by itself; a kind that such children make too
  // would kill every one of them, so of those the main thread's calls alone are taken.
  CallCounts calls_of(const std::string& name) {
    std::map<std::string, std::map<std::string, int>> by_thread;  // thread, kind
    std::string main_thread;
    std::set<std::string> children;
    std::ifstream in(trace_of(name));
    const std::regex call("^(\\d+) +([a-z_0-9]+)\\(.*");
    std::smatch found;
    for (std::string line; std::getline(in, line);) {
      if (!std::regex_match(line, found, call)) continue;
      if (main_thread.empty()) main_thread = found[1];
      if (found[2] == "execve" && found[1] != main_thread) children.insert(found[1]);
      ++by_thread[found[1]][found[2]];
    }
    CallCounts calls;
    for (const auto& [thread, counts] : by_thread) {
      if (children.contains(thread)) continue;
      for (const auto& [kind, count] : counts) {
        calls.all_threads[kind] = std::max(calls.all_threads[kind], count);
      }
    }
    for (const std::string& child : children) {
      for (const auto& [kind, count] : by_thread[child]) calls.all_threads.erase(kind);
      for (const auto& [kind, count] : by_thread[child]) {
        const auto own = by_thread[main_thread].find(kind);
        if (own != by_thread[main_thread].end()) calls.main_thread[kind] = own->second;
      }
    }
    for (const char* last : {"exit", "exit_group"}) {
      calls.all_threads.erase(last);
      calls.main_thread.erase(last);
    }
    return calls;
  }

  // The first call of every kind, then others by lot.
  static std::vector<KillPoint> choose(const CallCounts& calls, int wanted) {
    std::vector<KillPoint> first, others;
    for (const bool threads : {true, false}) {
      for (const auto& [call, count] : threads ? calls.all_threads : calls.main_thread) {
        for (int n = 1; n <= std::min(count, kMostOfAKind); ++n) {
          (n == 1 ? first : others).push_back({call, n, threads});
        }
      }
    }
    std::mt19937 random(kSeed);
    std::shuffle(others.begin(), others.end(), random);
    first.insert(first.end(), others.begin(), others.end());
    if (first.size() > static_cast<std::size_t>(wanted)) first.resize(wanted);
    return first;
  }

  static std::vector<KillPoint> points_of(const CallCounts& calls) {
    const char* const one = std::getenv("MAYFLY_KILL_POINT");
    if (one == nullptr) return choose(calls, number_of("MAYFLY_KILL_POINTS", 100));
    const std::string point = one;
    const auto dash = point.rfind('-');
    const std::string call = point.substr(0, dash);
    return {{call, std::atoi(point.c_str() + dash + 1), calls.all_threads.contains(call)}};
  }

  bool was_killed(const std::string& name) {
    const Result<std::string> trace = read_file(trace_of(name));
    return trace && trace->find("= ?") != std::string::npos;
  }
  static std::string no_strace() {
    const bool traces = std::system("strace -o /dev/null true 2>/dev/null") == 0;
    return traces ? "" : "strace is not here, or may not trace";
  }
  // The hub, and a run that nothing disturbs, with all the calls its agent makes.
  Trial run_alone() {
    start_hub();
    std::vector<Trial> alone = {make_traced("alone", "-f -b execve -e trace=all")};
    carry_out(alone);
    EXPECT_TRUE(alone[0].gone);
    EXPECT_EQ(weights_on_hub(alone[0]).size(), kEpochs + 1U);
    return alone[0];
  }

  fs::path real_ = root_ / "real";
};

TEST_F(SyscallKillTest, AnAgentKilledAtAnySystemCallLosesNothingAndLeavesNothing) {
  if (const std::string why = no_strace(); !why.empty()) GTEST_SKIP() << why;
  const Trial alone = run_alone();
  ASSERT_FALSE(HasFatalFailure());
  const CallCounts calls = calls_of("alone");
  EXPECT_THAT(calls.all_threads,
              testing::IsSupersetOf(
                  {testing::Key("rename"), testing::Key("fdatasync"), testing::Key("sendto")}));

  const std::vector<KillPoint> points = points_of(calls);
  std::vector<Trial> runs;
  for (const KillPoint& point : points) {
    const std::string number = std::to_string(point.number);
    runs.push_back(make_traced(
        point.call + "-" + number,
        std::string(point.any_thread ? "-f -b execve" : "") + " -e trace=" + point.call +
            " -e signal=none -e inject=" + point.call + ":signal=SIGKILL:when=" + number));
  }
  carry_out(runs);

  int hits = 0;
  for (Trial& run : runs) {
    run.killed = was_killed(run.name) ? 1 : 0;
    hits += run.killed;
    expect_like(run, alone);
  }
  std::cout << "figures: seed " << kSeed << ", kinds of calls "
            << calls.all_threads.size() + calls.main_thread.size() << ", points " << points.size()
            << ", kills that hit " << hits << "\n";
  // The number of calls of a kind varies a little from run to run.
  EXPECT_GE(hits, static_cast<int>(points.size()) * 3 / 4);
  expect_nothing_left(runs);
}

// From the n-th time on the system gives the agent's first life no more memory: it may not go on as
// if it had some, and the next one takes over. The first calls are the loader's, before the agent
// is there.
TEST_F(SyscallKillTest, AnAgentThatGetsNoMoreMemoryLosesNothingAndLeavesNothing) {
  if (const std::string why = no_strace(); !why.empty()) GTEST_SKIP() << why;
  const Trial alone = run_alone();
  ASSERT_FALSE(HasFatalFailure());
  const std::map<std::string, int> loading = calls_of_version();
  const std::map<std::string, int> calls = calls_of("alone").all_threads;
  const int wanted = number_of("MAYFLY_MEMORY_POINTS", 20);

  std::vector<Trial> runs;
  for (int i = 0; i < wanted; ++i) {
    std::string options = "-f -b execve -e trace=mmap,brk -e signal=none";
    for (const std::string call : {"mmap", "brk"}) {
      ASSERT_GT(calls.at(call), loading.at(call));
      const int number = loading.at(call) + 1 + i * (calls.at(call) - loading.at(call)) / wanted;
      options += " -e inject=" + call + ":error=ENOMEM:when=" + std::to_string(number) + "+";
    }
    runs.push_back(make_traced("memory-" + std::to_string(i), options));
  }
  carry_out(runs);

  int hits = 0;
  for (Trial& run : runs) {
    const Result<std::string> trace = read_file(trace_of(run.name));
    run.killed =
        trace && trace->find("(INJECTED)") != std::string::npos ? 1 : 0;  // it ended itself
    hits += run.killed;
    expect_like(run, alone);
  }
  std::cout << "figures: points " << wanted << ", lives without memory " << hits << "\n";
  EXPECT_GE(hits, wanted * 3 / 4);
  expect_nothing_left(runs);
}

}  // namespace
}  // namespace mayfly
