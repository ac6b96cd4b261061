// Whole runs from seeds, with every fault we can think of, in simulated time (tests/fakes/
// simulation.h says what is checked). A fault that never fired in all runs proves nothing, so that
// is a failure too. More of them: build/<preset>/bin/agent_sim --seeds 100000.
#include <gtest/gtest.h>

#include "core/log.h"
#include "tests/fakes/simulation.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

#ifdef __SANITIZE_ADDRESS__
constexpr unsigned kSeeds = 200;  // each costs ten times as much
#else
constexpr unsigned kSeeds = 2000;
#endif

std::string all_of(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += text + "; ";
  return joined;
}

class SimulateTest : public ::testing::Test {
 protected:
  SimulateTest() {
    (void)start_log("simulation", LogLevel::off);
  }

  SimulationResult run(SimulationMode mode, unsigned seed) {
    SimulationResult result = simulate(mode, seed);
    EXPECT_TRUE(result.broken.empty()) << "seed " << seed << ": " << all_of(result.broken);
    for (const auto& [what, times] : result.fired) fired_[what] += times;
    return result;
  }
  void expect_all_faults() {
    for (const std::string& kind : fault_kinds()) {
      EXPECT_GT(fired_[kind], 0) << kind << " never happened";
    }
  }

  std::map<std::string, int> fired_;
};

TEST_F(SimulateTest, WhateverGoesWrongTheInstanceGoesAndTheBillIsKept) {
  for (unsigned seed = 0; seed < kSeeds && !HasFailure(); ++seed) run(SimulationMode::safety, seed);
  expect_all_faults();
}

TEST_F(SimulateTest, OnceFaultsStopTheRunEndsAndWhatWasTrainedIsOnTheHub) {
  unsigned finished = 0;
  for (unsigned seed = 0; seed < kSeeds && !HasFailure(); ++seed) {
    const SimulationResult result = run(SimulationMode::liveness, seed);
    finished += result.state.reason == StopReason::finished ? 1 : 0;
  }
  EXPECT_GT(finished, kSeeds / 3);
  expect_all_faults();
}

TEST_F(SimulateTest, AMachineThatIsTakenAwayLeavesItsAdapterBehind) {
  int had_work = 0;
  int saved = 0;
  for (unsigned seed = 0; seed < 200 && !HasFailure(); ++seed) {
    const SimulationResult result = run(SimulationMode::reclaim, seed);
    had_work += result.had_work ? 1 : 0;
    saved += result.saved ? 1 : 0;
  }
  EXPECT_GT(had_work, 60);
  EXPECT_GE(saved, had_work * 95 / 100);
}

TEST_F(SimulateTest, AStoppedRunLeavesItsNewestCheckpointOnTheHub) {
  for (unsigned seed = 0; seed < kSeeds / 4; ++seed) {
    std::mt19937 random(seed);
    AgentPolicy policy = simulation::policy_for(random);
    policy.has_hub = true;
    policy.limit.limits.spend_limit = dollars(3);  // a quarter of an hour
    SimulatedFaults faults;
    faults.agent_dies = 0.001;
    faults.upload_fails = 0.1;
    SimulatedWorld world(policy, faults, seed, 100000);
    const SimulationResult result = simulation::run(world, policy, kNever, 10h);
    ASSERT_TRUE(world.broken.empty()) << "seed " << seed << ": " << all_of(world.broken);
    const AgentState& state = result.state;
    const auto& hub = world.hubs[0];
    const bool there = std::any_of(hub.begin(), hub.end(), [&](const auto& branch) {
      return branch.second == state.progress.step;
    });
    EXPECT_TRUE(there) << "seed " << seed << ": step " << state.progress.step;
    EXPECT_TRUE(state.exit_code == 14 || state.exit_code == 15)
        << "seed " << seed << ": " << state.exit_code.value_or(-1) << " " << state.detail;
  }
}

// The same seed is the same run, or else a seed that failed could not be looked at.
TEST_F(SimulateTest, ASeedDecidesEverything) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const SimulationResult once = simulate(SimulationMode::safety, seed);
    const SimulationResult again = simulate(SimulationMode::safety, seed);
    EXPECT_EQ(once.fired, again.fired) << seed;
    EXPECT_EQ(once.ended, again.ended) << seed;
  }
}

}  // namespace
}  // namespace mayfly
