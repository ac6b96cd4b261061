// Whole runs from seeds, and the verdict on each: which invariant broke, which faults fired.
//
// safety     faults to the end: I1 to I8 hold, the bill stays within the limit
// liveness   faults stop at some moment: the instance is gone twenty minutes later, and what was
//            trained is where it was said to be
// reclaim    the provider takes the machine away at some moment: the adapter is safe 100 s later
//
// A seed decides everything. agent_sim (tests/agent/agent_sim.cpp) runs them by the hundred
// thousand, tests/agent/simulate_test.cpp by the thousand.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "agent/extension.h"
#include "agent/replay.h"
#include "tests/fakes/simulated_world.h"

namespace mayfly {

enum class SimulationMode { safety, liveness, reclaim };

struct SimulationResult {
  AgentState state;
  std::vector<std::string> broken;  // in words
  std::map<std::string, int> fired;
  std::string journal;  // decisions.jsonl
  int lives = 1;
  std::optional<Age> uploading_since;
  Age ended{};
  Usd over_limit;         // of the bill, whoever is to blame
  Age until_gone{};       // liveness: from the end of the faults
  Age until_safe{};       // reclaim: from the notice
  bool had_work = false;  // reclaim: there was something to save
  bool saved = false;     // reclaim: and the trainer was brought to save it
};

// Every kind of fault: one that fired nowhere proves nothing.
inline const std::vector<std::string>& fault_kinds() {
  static const std::vector<std::string> kinds = {
      "agent killed",       "journal torn",      "reboot",       "trainer killed",
      "trainer hangs",      "trainer pauses",    "trainer deaf", "trainer undead",
      "upload fails",       "upload unanswered", "upload lies",  "upload hangs",
      "token refused",      "token revoked",     "second sink",  "destroy fails",
      "destroy unanswered", "destroy ignored",   "look fails",   "late listing",
      "disk full",          "disk dead",         "clock jump",   "clock alarm",
      "asked to stop",      "asked to extend",   "fuse stuck",   "reclaimed"};
  return kinds;
}

namespace simulation {

using namespace std::chrono_literals;

inline AgentPolicy policy_for(std::mt19937& random) {
  AgentPolicy policy;
  policy.limit.price = {dollars(12), std::chrono::seconds(random() % 2 == 0 ? 1 : 60)};
  policy.limit.limits.spend_limit = cents(static_cast<std::int64_t>(80 + random() % 300));
  if (random() % 4 == 0) {
    policy.limit.limits.ttl_hours = 0.1 + 0.02 * static_cast<double>(random() % 9);
  }
  policy.limit.limits.reserve = 180s;
  policy.limit.limits.upload_timeout = 300s;
  policy.limit.limits.idle_minutes = 12;
  policy.limit.limits.stall_minutes = 4;
  policy.limit.limits.on_failure = random() % 8 == 0 ? AtEnd::keep : AtEnd::destroy;
  policy.limit.destroying_takes = 120s;
  policy.has_hub = random() % 8 != 0;
  policy.sinks = random() % 3 == 0 ? 2 : 1;
  policy.keeps_disk = random() % 3 == 0;
  return policy;
}

inline SimulatedFaults faults_for(std::mt19937& random) {
  const auto some = [&](double most) {
    return random() % 2 == 0 ? 0.0 : most * static_cast<double>(random() % 1000) / 1000.0;
  };
  const auto once = [&](unsigned of, unsigned within_seconds) {
    return random() % of == 0 ? Age(std::chrono::seconds(random() % within_seconds)) : kNever;
  };
  SimulatedFaults faults;
  faults.agent_dies = some(0.02);
  faults.journal_torn = some(0.1);
  faults.reboots = some(0.002);
  faults.trainer_dies = some(0.02);
  faults.trainer_hangs = some(0.01);
  faults.trainer_deaf = random() % 6 == 0;
  faults.trainer_undead = random() % 12 == 0;
  faults.upload_fails = some(0.5);
  faults.upload_unanswered = some(0.2);
  faults.upload_lies = some(0.2);
  faults.upload_hangs = random() % 8 == 0;
  faults.token_refused = random() % 16 == 0;
  faults.token_revoked_at = once(16, 600);
  faults.destroy_fails = some(0.5);
  faults.destroy_unanswered = some(0.3);
  faults.destroy_ignored = some(0.3);
  faults.look_fails = some(0.3);
  faults.late_listing = random() % 2 == 0;
  faults.disk_full = some(0.2);
  faults.disk_dead_at = once(10, 900);
  faults.clock_jumps = some(0.05);
  faults.asked_to_stop = random() % 4 == 0 ? 0.002 : 0;
  faults.asked_to_extend = random() % 4 == 0 ? 0.004 : 0;
  faults.fuse_stuck = some(0.5);
  faults.reclaim_at = once(12, 900);
  return faults;
}

// What must hold after every turn that ended.
inline void check_turn(SimulatedWorld& world, const AgentPolicy& policy, const AgentState& before,
                       const AgentState& after) {
  std::vector<std::string>& broken = world.broken;
  const Age age = world.believed_age();
  AgentState& raised = world.most_extended;
  raised.extra_spend = std::max(raised.extra_spend, after.extra_spend);
  raised.extra_time = std::max(raised.extra_time, after.extra_time);
  if (is_ending(before.stage) && !is_ending(after.stage)) broken.push_back("I1: left destroying");
  const Age deadline =
      std::min(first_deadline(limits_now(policy, after)).destroy_at, after.reclaimed_at);
  if (age >= deadline && !is_ending(after.stage)) {
    broken.push_back("I3: past the deadline in " + std::string(stage_name(after.stage)));
  }
  if (after.stage == Stage::destroying && !world.asked_at) {
    broken.push_back("I3: destroying, and nobody was asked");
  }
  for (const Upload& upload : after.uploads) {
    if (upload.state != Upload::State::safe) continue;
    const auto& hub = world.hubs[static_cast<std::size_t>(upload.sink)];
    const auto found = hub.find(upload.label);
    const bool there =
        found != hub.end() && (upload.label == "main" || found->second == upload.step);
    if (!there) broken.push_back("I4: not there: " + upload.label);
  }
  // I6: no stage waits without a limit for a process to die.
  if (after.stage == Stage::saving && age > save_until(after) + kDeathTakes + 2s) {
    broken.push_back("I6: waits for a trainer that does not die");
  }
  if (after.gone && world.machine_runs()) broken.push_back("said gone and it runs");
  const Usd most = policy.limit.limits.spend_limit;
  if (after.extra_spend > most) broken.push_back("a limit was more than doubled");
}

// Of a run that is over: the bill, the journal, and what it said of itself.
inline void check_end(SimulatedWorld& world, const AgentPolicy& policy, Age dead,
                      SimulationResult& result) {
  // As far as they were ever raised: a life whose disk took nothing forgets that they were.
  const LimitPolicy limit = limits_now(policy, world.most_extended);
  const Usd bill = SpendMeter(limit.price, WallTime{}).spent(WallTime{} + result.ended);
  if (bill > limit.limits.spend_limit) result.over_limit = bill - limit.limits.spend_limit;
  const Age deadline = first_deadline(limit).destroy_at;
  if (world.asked_at && *world.asked_at > deadline + dead + world.behind + 2s) {
    world.broken.push_back("I5: asked too late: at " + std::to_string(world.asked_at->count()) +
                           " ms, deadline " + std::to_string(deadline.count()) + ", dead " +
                           std::to_string(dead.count()) + ", behind " +
                           std::to_string(world.behind.count()));
  }
  // I5: what is over was the provider's doing, who took longer than he is given.
  const bool in_time = world.refused_for + 20s <= Age(limit.destroying_takes) - dead - world.behind;
  if (result.over_limit.micros > 0 && in_time) world.broken.push_back("I5: over the limit");

  const JournalText read = read_journal(world.journal);
  if (read.damaged > world.torn) world.broken.push_back("a decision cannot be read");
}

inline void check_replay(SimulatedWorld& world) {
  if (world.journal.empty()) return;
  const Result<ReplayReport> again = replay(world.journal);
  if (!again) return;  // killed before the first decision, or the disk took none
  if (again->difference) world.broken.push_back("replay: " + replay_text(*again));
}

// One run until the instance is gone, or until `give_up_at`.
inline SimulationResult run(SimulatedWorld& world, const AgentPolicy& policy, Age heal_at,
                            Age give_up_at) {
  SimulationResult result;
  AgentState state = world.reborn();
  Age dead{};
  const auto die = [&](Age for_how_long) {
    ++result.lives;
    const Age deadline = first_deadline(limits_now(policy, state)).destroy_at;
    world.pass(for_how_long);
    if (!world.asked_at && world.age() >= deadline) dead += for_how_long;
    if (!world.machine_runs()) return;
    state = world.reborn();
    if (world.destroying_saved && !is_ending(state.stage)) {
      world.broken.push_back("I1: forgot that it was destroying");
    }
  };
  while (world.machine_runs() && world.age() < give_up_at) {
    if (world.age() >= heal_at) world.heal();
    try {
      AgentState next = take_turn(policy, state, world);
      check_turn(world, policy, state, next);
      if (next.stage == Stage::uploading && !result.uploading_since) {
        result.uploading_since = world.age();
      }
      state = std::move(next);
      world.pass(1s);
    } catch (const AgentKilled&) {
      die(2s);
      continue;
    }
    if (world.machine_runs() && world.reboots()) die(60s);
  }
  result.state = std::move(state);
  result.ended = world.ended_at().value_or(world.age());
  if (world.machine_runs()) {
    world.broken.push_back("not gone in " + std::string(stage_name(result.state.stage)));
  }
  check_end(world, policy, dead, result);
  return result;
}

inline SimulationResult verdict(SimulatedWorld& world, SimulationResult result) {
  result.broken = world.broken;
  result.fired = world.fired;
  result.journal = std::move(world.journal);
  return result;
}

inline SimulationResult safety(unsigned seed) {
  std::mt19937 random(seed);
  const AgentPolicy policy = policy_for(random);
  const SimulatedFaults faults = faults_for(random);
  SimulatedWorld world(policy, faults, seed, 1 + random() % 20);
  SimulationResult result = run(world, policy, kNever, 10h);
  if (seed % 50 == 0) check_replay(world);
  return verdict(world, std::move(result));
}

// What a run that said that all went well has left on the hub.
inline void check_published(SimulatedWorld& world, const AgentState& state, std::int64_t epochs) {
  if (state.reason != StopReason::finished || state.exit_code != 0) return;
  const auto there = [&](const std::string& label, std::int64_t step) {
    return std::any_of(world.hubs.begin(), world.hubs.end(), [&](const auto& hub) {
      const auto found = hub.find(label);
      return found != hub.end() && found->second == step;
    });
  };
  constexpr std::int64_t kSteps = SimulatedWorld::kStepsPerEpoch;
  if (!there("main", epochs * kSteps)) world.broken.push_back("lost: main");
  for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
    const std::string label = "checkpoint-epoch-" + std::to_string(epoch);
    if (!there(label, epoch * kSteps)) world.broken.push_back("lost: " + label);
  }
}

inline SimulationResult liveness(unsigned seed) {
  std::mt19937 random(seed + 1'000'000'000U);
  AgentPolicy policy = policy_for(random);
  policy.limit.limits.spend_limit = dollars(60);  // five hours
  policy.limit.limits.ttl_hours.reset();
  policy.limit.limits.on_failure = AtEnd::destroy;
  SimulatedFaults faults = faults_for(random);
  const Age heal_at = std::chrono::seconds(60 + random() % 1140);
  const std::int64_t epochs = 1 + random() % 6;
  SimulatedWorld world(policy, faults, seed, epochs);
  SimulationResult result = run(world, policy, heal_at, heal_at + 20min);
  result.until_gone = std::max(Age::zero(), result.ended - heal_at);
  if (policy.has_hub) check_published(world, result.state, epochs);
  // With a hub that works in the end, what was trained to the end is there.
  const bool hub_works = policy.has_hub && !faults.token_refused &&
                         faults.token_revoked_at == kNever && !faults.upload_hangs;
  const AgentState& state = result.state;
  const bool in_peace = !world.notice_at && world.fired.count("asked to stop") == 0 &&
                        result.uploading_since.value_or(Age::zero()) > heal_at;
  const bool done = state.reason == StopReason::finished && in_peace;
  if (hub_works && done && state.exit_code.value_or(0) != 0)
    world.broken.push_back("lost: not all is safe");
  return verdict(world, std::move(result));
}

inline SimulationResult reclaim(unsigned seed) {
  std::mt19937 random(seed + 2'000'000'000U);
  AgentPolicy policy = policy_for(random);
  policy.has_hub = true;
  policy.limit.limits.spend_limit = dollars(60);
  policy.limit.limits.ttl_hours.reset();
  SimulatedFaults faults;
  faults.upload_fails = random() % 2 == 0 ? 0.1 : 0.0;
  faults.reclaim_at = std::chrono::seconds(random() % 900);
  const std::int64_t epochs = 1 + random() % 20;
  SimulatedWorld world(policy, faults, seed, epochs);
  SimulationResult result = run(world, policy, kNever, 1h);
  const AgentState& state = result.state;
  if (world.notice_at && state.progress.step > 0 && state.reason == StopReason::reclaimed) {
    result.had_work = true;
    result.saved = state.stopped_early || state.finished;
    result.until_safe = kNever;
    for (const Upload& upload : state.uploads) {
      if (upload.state != Upload::State::safe || upload.step != state.progress.step) continue;
      result.until_safe =
          std::max(Age::zero(), Age(upload.at->time_since_epoch()) - *world.notice_at);
    }
    if (result.until_safe > 100s) world.broken.push_back("T16: not safe 100 s after the notice");
  }
  return verdict(world, std::move(result));
}

}  // namespace simulation

inline SimulationResult simulate(SimulationMode mode, unsigned seed) {
  switch (mode) {
    case SimulationMode::safety:
      return simulation::safety(seed);
    case SimulationMode::liveness:
      return simulation::liveness(seed);
    case SimulationMode::reclaim:
      return simulation::reclaim(seed);
  }
  return {};
}

}  // namespace mayfly
