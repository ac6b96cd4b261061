// Limits are measured in the age of the instance. An age that jumps ahead destroys work, one that
// falls back lets an instance live too long.
#include "agent/age.h"

#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

TEST(AgeMeterTest, CountsFromTheCreationOfTheInstance) {
  FakeClock clock;
  const AgeMeter meter(clock.now() - 90s, std::nullopt, "boot", clock);
  EXPECT_EQ(meter.age(), 90s);
  clock.elapsed += 10s;
  EXPECT_EQ(meter.age(), 100s);
}

TEST(AgeMeterTest, AWallClockThatJumpsChangesNothing) {
  FakeClock clock;
  const AgeMeter meter(clock.now(), std::nullopt, "boot", clock);
  clock.elapsed += 10s;
  clock.jumped = 24h;
  EXPECT_EQ(meter.age(), 10s);
  clock.jumped = -24h;
  EXPECT_EQ(meter.age(), 10s);
}

TEST(AgeMeterTest, AnInstanceFromTheFutureIsNew) {
  FakeClock clock;
  EXPECT_EQ(AgeMeter(clock.now() + 1h, std::nullopt, "boot", clock).age(), 0s);
}

TEST(AgeMeterTest, ARestartedAgentCountsTheTimeItWasNotThere) {
  FakeClock clock;
  const AgeMark mark = AgeMeter(clock.now(), std::nullopt, "boot", clock).mark();
  clock.elapsed += 60s;
  clock.jumped = -24h;  // and does not ask the wall clock for it
  EXPECT_EQ(AgeMeter(FakeClock::kBegin, mark, "boot", clock).age(), 60s);
}

TEST(AgeMeterTest, ARebootNeverMakesTheInstanceYounger) {
  FakeClock clock;
  const AgeMark mark{"before", clock.steady_now(), 2h};
  EXPECT_EQ(AgeMeter(clock.now() - 1h, mark, "after", clock).age(), 2h);
  EXPECT_EQ(AgeMeter(clock.now() - 3h, mark, "after", clock).age(), 3h);
}

}  // namespace
}  // namespace mayfly
