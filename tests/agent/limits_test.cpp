// A limit that fires late costs money; one that fires early costs work. Both sides of each edge.
#include "agent/limits.h"

#include <gtest/gtest.h>

#include "core/run/rescue_budget.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

LimitPolicy policy_of(Usd per_hour, Usd limit) {
  LimitPolicy policy;
  policy.price = {per_hour, 1s};
  policy.limits.spend_limit = limit;
  policy.limits.reserve = 300s;
  policy.destroying_takes = 8min;
  return policy;
}

TEST(LimitsTest, TheReserveIsTakenInsideTheSpendLimit) {
  const Deadline deadline = spend_deadline(policy_of(dollars(3), dollars(150)));
  EXPECT_EQ(deadline.destroy_at, 50h - 8min);
  EXPECT_EQ(deadline.rescue_at,
            50h - 8min - 15min);  // 15 minutes cost $0.75: the least of the three
  EXPECT_EQ(deadline.stop_at, 50h - 8min - 15min - 5min);
}

TEST(LimitsTest, ASmallLimitStillLeavesHalfOfItForTraining) {
  LimitPolicy policy = policy_of(dollars(12), cents(10));  // 30 s
  policy.destroying_takes = 6s;
  const Deadline deadline = spend_deadline(policy);
  EXPECT_EQ(deadline.destroy_at, 24s);
  EXPECT_EQ(deadline.stop_at, 12s);
  EXPECT_GT(deadline.rescue_at, 23s);  // both shrink alike: 1.5 s of 301.5 are of the rescue
  EXPECT_LT(deadline.rescue_at, 24s);
}

// The examples of eight B200 and one A100 with a limit of $150.
TEST(LimitsTest, TheRescueBudgetIsTheLeastOfThree) {
  LimitsConfig limits;
  limits.spend_limit = dollars(150);
  EXPECT_EQ(rescue_budget(limits, {cents(3360), 1s}), dollars(5));
  EXPECT_EQ(rescue_budget(limits, {dollars(3), 1s}), cents(75));
  limits.spend_limit = dollars(10);
  EXPECT_EQ(rescue_budget(limits, {cents(3360), 1s}), cents(50));
  limits.rescue_budget = Usd{};
  EXPECT_EQ(rescue_budget(limits, {cents(3360), 1s}), Usd{});
}

TEST(LimitsTest, TheDollarsAtEachDeadlineAreThoseOfTheDesign) {
  LimitPolicy policy = policy_of(cents(3360), dollars(150));
  policy.limits.reserve = 600s;
  const Deadline deadline = spend_deadline(policy);
  const SpendMeter meter(policy.price, WallTime{});
  EXPECT_EQ(format_usd(meter.spent(WallTime{} + deadline.destroy_at)), "$145.52");
  EXPECT_EQ(format_usd(meter.spent(WallTime{} + deadline.stop_at)), "$134.92");
}

TEST(LimitsTest, ALimitThatBuysLessThanDestroyingFiresAtOnce) {
  const Deadline deadline = spend_deadline(policy_of(dollars(12), cents(1)));
  EXPECT_EQ(deadline.destroy_at, 0s);
  EXPECT_EQ(deadline.stop_at, 0s);
}

TEST(LimitsTest, AFreeMachineWithoutTtlHasNoDeadline) {
  const Deadline deadline = first_deadline(policy_of({}, dollars(1)));
  EXPECT_EQ(deadline.stop_at, kNever);
  EXPECT_EQ(deadline.destroy_at, kNever);
}

TEST(LimitsTest, TheEarlierOfSpendAndTtlNamesTheReason) {
  LimitPolicy policy = policy_of(dollars(3), dollars(150));
  policy.limits.ttl_hours = 2.0;
  EXPECT_EQ(first_deadline(policy).reason, StopReason::ttl);
  EXPECT_EQ(first_deadline(policy).destroy_at, 2h - 8min);
  policy.limits.ttl_hours = 60.0;
  EXPECT_EQ(first_deadline(policy).reason, StopReason::spend_limit);
  EXPECT_EQ(first_deadline(policy).destroy_at, 50h - 8min);
}

TEST(LimitsTest, IdleAndStallFireAtTheirMinuteAndNotBefore) {
  LimitsConfig limits;
  limits.idle_minutes = 30;
  limits.stall_minutes = 10;
  EXPECT_FALSE(is_idle(limits, 40min - 1ms, 10min));
  EXPECT_TRUE(is_idle(limits, 40min, 10min));
  EXPECT_FALSE(is_stalled(limits, 20min - 1ms, 10min));
  EXPECT_TRUE(is_stalled(limits, 20min, 10min));
}

TEST(LimitsTest, ZeroMinutesMeanNever) {
  LimitsConfig limits;
  limits.idle_minutes = 0;
  limits.stall_minutes = 0;
  EXPECT_FALSE(is_idle(limits, 1000h, 0ms));
  EXPECT_FALSE(is_stalled(limits, 1000h, 0ms));
}

}  // namespace
}  // namespace mayfly
