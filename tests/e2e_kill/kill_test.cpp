// Whole runs in which the agent, the trainer or both are killed with -9 at random moments.
#include <iostream>
#include <random>

#include "tests/e2e_kill/disturbed_runs.h"

namespace mayfly {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kSeed = 20261122;

class KillTest : public DisturbedRuns {
 protected:
  KillTest() : DisturbedRuns(MAYFLY_KILL_TRAINER) {}
};

TEST_F(KillTest, ARunThatIsKilledEndsAsTheOneThatWasLeftAlone) {
  start_hub();
  ASSERT_FALSE(HasFatalFailure());
  std::vector<Trial> alone = {make_run("alone")};
  carry_out(alone);
  ASSERT_TRUE(alone[0].gone);
  const milliseconds took = clock_.steady_now() - alone[0].started;
  EXPECT_EQ(weights_on_hub(alone[0]).size(), kEpochs + 1U);  // and main

  // The moments lie within the time that the undisturbed run took; a run that was killed takes
  // longer.
  const int disturbed = number_of("MAYFLY_KILLED_RUNS", 20);
  std::mt19937 random(kSeed);
  std::cout << "seed " << kSeed << ", undisturbed " << took.count() << " ms\n";
  std::vector<Trial> runs;
  for (int i = 0; i < disturbed; ++i) {
    Trial run = make_run("killed-" + std::to_string(i));
    const auto kills = 1 + random() % 3;
    for (unsigned k = 0; k < kills; ++k) {
      const auto at = milliseconds(static_cast<int>(random() % took.count()));
      run.kills.emplace_back(at, static_cast<Victim>(random() % 3));
    }
    std::sort(run.kills.begin(), run.kills.end());
    runs.push_back(std::move(run));
  }
  carry_out(runs);

  int killed = 0;
  for (const Trial& run : runs) {
    expect_like(run, alone[0]);
    killed += run.killed;
  }
  std::cout << "figures: runs " << disturbed << ", kills that hit somebody " << killed << "\n";
  EXPECT_GE(killed, disturbed);
  expect_nothing_left(runs);
}

}  // namespace
}  // namespace mayfly
