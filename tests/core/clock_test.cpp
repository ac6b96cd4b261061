// Bills and receipts carry these stamps; a stamp that reads back differently is a false receipt.
#include "core/clock.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::chrono_literals;

TEST(ClockTest, WritesAndReadsTheSameMoment) {
  const WallTime time{1'795'356'131'482ms};
  EXPECT_EQ(format_utc(time), "2026-11-22T14:02:11.482Z");
  EXPECT_EQ(*parse_utc(format_utc(time)), time);
  EXPECT_EQ(*parse_utc("2026-11-22T14:02:11Z"), time - 482ms);
  EXPECT_FALSE(parse_utc("2026-11-22"));
  EXPECT_FALSE(parse_utc("2026-11-22T14:02:11.482Z "));
}

TEST(ClockTest, SaysDurationsInTheTwoLargestUnits) {
  EXPECT_EQ(format_duration(12s), "12s");
  EXPECT_EQ(format_duration(2461s), "41m01s");
  EXPECT_EQ(format_duration(3h + 7min), "3h07m");
  EXPECT_EQ(format_duration(51h), "2d03h");
}

TEST(ClockTest, SteadyTimeDoesNotGoBack) {
  SystemClock clock;
  const SteadyTime first = clock.steady_now();
  EXPECT_GE(clock.steady_now(), first);
}

}  // namespace
}  // namespace mayfly
