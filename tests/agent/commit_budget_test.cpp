// The 129th commit of an hour is refused, and it must not be an adapter that waits for it.
#include "agent/commit_budget.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{};

int take_all(CommitBudget& budget, CommitRank rank, SteadyTime now) {
  int taken = 0;
  while (taken < 1000 && budget.take(rank, now)) ++taken;
  return taken;
}

TEST(CommitBudgetTest, AllowsAHundredAndTwentyEightAnHour) {
  CommitBudget budget;
  EXPECT_EQ(take_all(budget, CommitRank::work, kStart), 128);
  EXPECT_FALSE(budget.take(CommitRank::work, kStart + 1h - 1ms));
  EXPECT_TRUE(budget.take(CommitRank::work, kStart + 1h));
}

TEST(CommitBudgetTest, KeepsRoomForTheWork) {
  CommitBudget budget;
  EXPECT_EQ(take_all(budget, CommitRank::status, kStart), 64);
  EXPECT_EQ(take_all(budget, CommitRank::logs, kStart), 56);
  EXPECT_EQ(take_all(budget, CommitRank::work, kStart), 8);
}

TEST(CommitBudgetTest, TheHourSlides) {
  CommitBudget budget;
  for (int i = 0; i < 128; ++i) ASSERT_TRUE(budget.take(CommitRank::work, kStart + i * 20s)) << i;
  // One of a time goes out of sight, and one may be made.
  EXPECT_FALSE(budget.take(CommitRank::work, kStart + 128 * 20s));
  EXPECT_TRUE(budget.take(CommitRank::work, kStart + 1h));
  EXPECT_FALSE(budget.take(CommitRank::work, kStart + 1h + 19s));
  EXPECT_TRUE(budget.take(CommitRank::work, kStart + 1h + 20s));
}

TEST(CommitBudgetTest, OneThatWasNotMadeIsNotCounted) {
  CommitBudget budget;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(budget.take(CommitRank::work, kStart)) << i;
    budget.give_back();
  }
}

}  // namespace
}  // namespace mayfly
