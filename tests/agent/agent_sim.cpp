// Simulated runs of the agent by the hundred thousand.
//
//   agent_sim [--seeds N] [--from S] [--json]
//   agent_sim --show safety|liveness|reclaim SEED    prints that run's journal, for `jq`
//
// For each seed one run in each mode of tests/fakes/simulation.h (reclaim: every tenth). Prints the
// counts, the faults fired per kind, the worst figures and the speed; with --json as one JSON
// object and nothing else. Exit 1 if an invariant broke or a kind of fault never fired.
#include <cstdlib>
#include <iostream>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/log.h"
#include "tests/fakes/simulation.h"

namespace mayfly {
namespace {

struct Tally {
  std::int64_t runs = 0;
  std::int64_t broken = 0;
  std::int64_t lives = 0;
  std::map<std::string, std::int64_t> fired;
  std::vector<std::string> first_broken;  // "safety 17: I3: ..."
  Age worst_until_gone{};
  Age worst_until_safe{};
  std::int64_t reclaimed_with_work = 0;
  std::int64_t reclaimed_and_saved = 0;
  Usd worst_over_limit;

  void add(const char* mode, unsigned seed, const SimulationResult& result) {
    ++runs;
    lives += result.lives;
    for (const auto& [kind, times] : result.fired) fired[kind] += times;
    worst_until_gone = std::max(worst_until_gone, result.until_gone);
    if (result.had_work) {
      ++reclaimed_with_work;
      reclaimed_and_saved += result.saved ? 1 : 0;
      worst_until_safe = std::max(worst_until_safe, result.until_safe);
    }
    worst_over_limit = std::max(worst_over_limit, result.over_limit);
    if (result.broken.empty()) return;
    ++broken;
    if (first_broken.size() < 20) {
      first_broken.push_back(std::string(mode) + " " + std::to_string(seed) + ": " +
                             result.broken[0]);
    }
  }
};

nlohmann::json report(const Tally& tally, double seconds) {
  nlohmann::json out = {
      {"runs", tally.runs},
      {"lives", tally.lives},
      {"broken", tally.broken},
      {"first_broken", tally.first_broken},
      {"faults_fired", nlohmann::json::object()},
      {"worst_seconds_until_gone_after_faults", tally.worst_until_gone.count() / 1000},
      {"worst_seconds_until_safe_after_notice", tally.worst_until_safe.count() / 1000},
      {"reclaimed_with_work", tally.reclaimed_with_work},
      {"reclaimed_and_saved", tally.reclaimed_and_saved},
      {"worst_dollars_over_limit_by_the_providers_doing",
       static_cast<double>(tally.worst_over_limit.micros) / 1e6},
      {"seconds", seconds},
      {"runs_per_second", seconds > 0 ? static_cast<double>(tally.runs) / seconds : 0.0}};
  for (const std::string& kind : fault_kinds()) {
    const auto found = tally.fired.find(kind);
    out["faults_fired"][kind] = found == tally.fired.end() ? 0 : found->second;
  }
  return out;
}

int show(std::string_view mode, unsigned seed) {
  (void)start_log("simulation", LogLevel::off);
  const SimulationResult result = simulate(mode == "safety"     ? SimulationMode::safety
                                           : mode == "liveness" ? SimulationMode::liveness
                                                                : SimulationMode::reclaim,
                                           seed);
  std::cout << result.journal;
  for (const std::string& text : result.broken) std::cerr << text << "\n";
  return result.broken.empty() ? 0 : 1;
}

int main_of(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--show") {
    return show(argv[2], static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10)));
  }
  unsigned seeds = 1000;
  unsigned from = 0;
  bool as_json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--json") {
      as_json = true;
    } else if ((flag == "--seeds" || flag == "--from") && i + 1 < argc) {
      (flag == "--seeds" ? seeds : from) =
          static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    } else {
      std::cerr << "usage: agent_sim [--seeds N] [--from S] [--json]\n";
      return 2;
    }
  }
  (void)start_log("simulation", LogLevel::off);
  SystemClock clock;
  const SteadyTime begin = clock.steady_now();
  Tally tally;
  for (unsigned seed = from; seed < from + seeds; ++seed) {
    tally.add("safety", seed, simulate(SimulationMode::safety, seed));
    tally.add("liveness", seed, simulate(SimulationMode::liveness, seed));
    if (seed % 10 == 0) tally.add("reclaim", seed, simulate(SimulationMode::reclaim, seed));
  }
  const double seconds = std::chrono::duration<double>(clock.steady_now() - begin).count();
  const nlohmann::json out = report(tally, seconds);
  bool all_fired = true;
  for (const auto& times : out["faults_fired"]) all_fired = all_fired && times.get<int>() > 0;
  if (as_json) {
    std::cout << out.dump() << "\n";
  } else {
    std::cout << out.dump(2) << "\n"
              << (tally.broken == 0 ? "no invariant broken" : "INVARIANTS BROKEN")
              << (all_fired ? "" : "; a kind of fault never fired") << "\n";
  }
  return tally.broken == 0 && all_fired ? 0 : 1;
}

}  // namespace
}  // namespace mayfly

int main(int argc, char** argv) {
  return mayfly::main_of(argc, argv);
}
