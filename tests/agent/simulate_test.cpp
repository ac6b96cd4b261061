// Whole runs from seeds, with every fault we can think of, in simulated time.
//
// Safety, with faults to the end: the invariants I1 to I6 of agent/state.h hold, the bill stays
// within the limit, nothing is said to be on the hub that is not.
// Liveness, with faults that stop: the instance is gone a while after, and if training could end
// then everything is on the hub.
// A fault that never fired in all runs proves nothing, so that is a failure too.
#include <algorithm>

#include <gtest/gtest.h>

#include "agent/extension.h"
#include "core/log.h"
#include "tests/fakes/simulated_world.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

#ifdef __SANITIZE_ADDRESS__
constexpr int kSeeds = 200;  // each costs ten times as much
#else
constexpr int kSeeds = 2000;
#endif

AgentPolicy policy_for(std::mt19937& random) {
  AgentPolicy policy;
  policy.limit.price = {dollars(12), std::chrono::seconds(random() % 2 == 0 ? 1 : 60)};
  policy.limit.limits.spend_limit = cents(static_cast<std::int64_t>(80 + random() % 300));
  if (random() % 4 == 0) {
    policy.limit.limits.ttl_hours = 0.1 + 0.02 * static_cast<double>(random() % 9);
  }
  policy.limit.limits.reserve = 180s;
  policy.limit.limits.upload_timeout = 600s;
  policy.limit.limits.idle_minutes = 12;
  policy.limit.limits.stall_minutes = 4;
  policy.limit.destroying_takes = 120s;
  policy.has_hub = random() % 8 != 0;
  return policy;
}

SimulatedFaults faults_for(std::mt19937& random) {
  const auto some = [&](double most) {
    return random() % 2 == 0 ? 0.0 : most * static_cast<double>(random() % 1000) / 1000.0;
  };
  SimulatedFaults faults;
  faults.agent_dies = some(0.02);
  faults.trainer_dies = some(0.02);
  faults.trainer_hangs = some(0.01);
  faults.trainer_deaf = random() % 6 == 0;
  faults.trainer_undead = random() % 12 == 0;
  faults.upload_fails = some(0.5);
  faults.upload_lies = some(0.2);
  faults.upload_hangs = random() % 8 == 0;
  faults.token_refused = random() % 16 == 0;
  faults.destroy_fails = some(0.5);
  faults.destroy_ignored = some(0.3);
  faults.disk_full = some(0.2);
  faults.clock_jumps = some(0.05);
  faults.asked_to_stop = random() % 4 == 0 ? 0.002 : 0;
  return faults;
}

struct RunResult {
  AgentState state;
  std::int64_t epochs = 0;
  bool gone = false;
  Age ended{};
};

// What must hold after every turn.
void check_turn(SimulatedWorld& world, const AgentPolicy& policy, const AgentState& before,
                const AgentState& after) {
  const auto ending = [](Stage stage) {
    return stage == Stage::destroying || stage == Stage::confirming;
  };
  if (ending(before.stage) && !ending(after.stage)) world.broken.push_back("I1: left destroying");
  if (world.age() >= first_deadline(limits_now(policy, after)).destroy_at && !ending(after.stage)) {
    world.broken.push_back("I3: past the deadline in " + std::string(stage_name(after.stage)));
  }
  for (const Upload& upload : after.uploads) {
    if (upload.state == Upload::State::safe && world.hub.count(upload.label) == 0) {
      world.broken.push_back("I4: not on the hub: " + upload.label);
    }
  }
  // I6: no stage waits without a limit. Uploading and saving have theirs; the rest is progress.
  if (after.stage == Stage::saving &&
      world.age() - after.entered_at > save_takes(after.progress) + kDeathTakes + 2s) {
    world.broken.push_back("I6: waits for a trainer that does not die");
  }
  if (after.gone && world.machine_runs()) world.broken.push_back("said gone and it runs");
}

// One run until the instance is gone. `heal_at`: faults stop then; the run may take 40 minutes
// beyond that and its deadline.
RunResult simulate(SimulatedWorld& world, const AgentPolicy& policy, Age heal_at, Age give_up_at) {
  RunResult result;
  AgentState state = world.reborn();
  while (world.machine_runs() && world.age() < give_up_at) {
    if (world.age() >= heal_at) world.heal();
    try {
      const AgentState next = take_turn(policy, state, world);
      check_turn(world, policy, state, next);
      state = next;
      world.pass(1s);
    } catch (const AgentKilled&) {
      world.pass(2s);
      if (world.machine_runs()) state = world.reborn();
    }
  }
  result.state = state;
  result.gone = !world.machine_runs();
  result.ended = world.ended_at().value_or(world.age());
  return result;
}

std::string all_of(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += text + "; ";
  return joined;
}

TEST(SimulateTest, WhateverGoesWrongTheInstanceGoesAndTheBillIsKept) {
  start_log("simulation", LogLevel::off).operator*();
  std::map<std::string, int> fired;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    std::mt19937 random(seed);
    const AgentPolicy policy = policy_for(random);
    SimulatedFaults faults = faults_for(random);
    // Within what destroying may take: 120 s, of which 20 are the provider's own.
    faults.destroy_fails = std::min(faults.destroy_fails, 0.3);
    faults.destroy_ignored = 0;
    SimulatedWorld world(policy, faults, seed, 1 + random() % 20);
    const RunResult run = simulate(world, policy, kNever, 10h);

    ASSERT_TRUE(world.broken.empty()) << "seed " << seed << ": " << all_of(world.broken);
    ASSERT_TRUE(run.gone) << "seed " << seed << " in " << stage_name(run.state.stage);
    const SpendMeter meter(policy.limit.price, WallTime{});
    // A billing step beyond the limit is paid only where a step is longer than what is kept free.
    const Usd bill = meter.spent(WallTime{} + run.ended);
    ASSERT_LE(bill, policy.limit.limits.spend_limit) << "seed " << seed;
    for (const auto& [what, times] : world.fired) fired[what] += times;
  }
  for (const char* what : {"agent killed", "trainer killed", "trainer hangs", "upload fails",
                           "upload lies", "upload hangs", "token refused", "destroy fails",
                           "disk full", "clock jump", "asked to stop"}) {
    EXPECT_GT(fired[what], 0) << what << " never happened";
  }
}

TEST(SimulateTest, OnceFaultsStopTheRunEndsAndWhatWasTrainedIsOnTheHub) {
  start_log("simulation", LogLevel::off).operator*();
  std::map<std::string, int> fired;
  int finished = 0;
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    std::mt19937 random(seed + 1'000'000);
    AgentPolicy policy = policy_for(random);
    policy.limit.limits.spend_limit = dollars(60);  // five hours
    policy.limit.limits.ttl_hours.reset();
    SimulatedFaults faults = faults_for(random);
    faults.token_refused = false;
    faults.upload_hangs = false;
    faults.upload_lies = 0;
    faults.trainer_undead = false;
    faults.disk_full = 0;
    const std::int64_t epochs = 1 + random() % 12;
    SimulatedWorld world(policy, faults, seed, epochs);
    const RunResult run = simulate(world, policy, 20min, 2h);

    ASSERT_TRUE(world.broken.empty()) << "seed " << seed << ": " << all_of(world.broken);
    ASSERT_TRUE(run.gone) << "seed " << seed << " in " << stage_name(run.state.stage);
    for (const auto& [what, times] : world.fired) fired[what] += times;
    if (!policy.has_hub || run.state.reason != StopReason::finished) continue;
    ++finished;
    EXPECT_EQ(run.state.exit_code, 0) << "seed " << seed;
    EXPECT_EQ(world.hub.count("main"), 1U) << "seed " << seed;
    for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
      EXPECT_EQ(world.hub["checkpoint-epoch-" + std::to_string(epoch)],
                epoch * SimulatedWorld::kStepsPerEpoch)
          << "seed " << seed;
    }
  }
  EXPECT_GT(finished, kSeeds / 3);
  EXPECT_GT(fired["destroy ignored"], 0);
}

TEST(SimulateTest, AStoppedRunLeavesItsNewestCheckpointOnTheHub) {
  start_log("simulation", LogLevel::off).operator*();
  int stopped = 0;
  for (unsigned seed = 0; seed < kSeeds / 4; ++seed) {
    std::mt19937 random(seed);
    AgentPolicy policy = policy_for(random);
    policy.has_hub = true;
    SimulatedFaults faults;
    faults.agent_dies = 0.001;
    faults.upload_fails = 0.1;
    policy.limit.limits.spend_limit = dollars(3);  // a quarter of an hour
    SimulatedWorld world(policy, faults, seed, 100000);
    const RunResult run = simulate(world, policy, kNever, 10h);
    ASSERT_TRUE(world.broken.empty()) << "seed " << seed << ": " << all_of(world.broken);
    ASSERT_TRUE(run.gone);
    ++stopped;
    ASSERT_FALSE(run.state.uploads.empty()) << "seed " << seed << " " << run.state.detail;
    const std::int64_t newest = run.state.progress.step;
    const bool there = std::any_of(world.hub.begin(), world.hub.end(),
                                   [&](const auto& branch) { return branch.second == newest; });
    EXPECT_TRUE(there) << "seed " << seed << ": step " << newest;
    EXPECT_TRUE(run.state.exit_code == 14 || run.state.exit_code == 15)
        << "seed " << seed << ": " << run.state.exit_code.value_or(-1) << " " << run.state.detail;
  }
  EXPECT_EQ(stopped, kSeeds / 4);
}

}  // namespace
}  // namespace mayfly
