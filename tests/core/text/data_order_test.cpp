// A resumed run must visit what the interrupted one would have, on another machine too: so the
// order is pinned to its values, not only to its properties.
#include "core/text/data_order.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;

TEST(DataOrderTest, NeverChanges) {
  EXPECT_THAT(data_order(42, 0, 8, true), ElementsAre(1, 2, 5, 7, 3, 0, 6, 4));
}

TEST(DataOrderTest, VisitsEachExampleOnce) {
  for (const std::size_t count : {0, 1, 2, 3, 1000}) {
    const auto order = data_order(7, 3, count, true);
    EXPECT_EQ(order.size(), count);
    EXPECT_EQ(std::set<std::uint32_t>(order.begin(), order.end()).size(), count);
  }
}

TEST(DataOrderTest, DiffersByEpochAndBySeed) {
  const auto first = data_order(42, 0, 100, true);
  EXPECT_NE(first, data_order(42, 1, 100, true));
  EXPECT_NE(first, data_order(43, 0, 100, true));
  EXPECT_EQ(first, data_order(42, 0, 100, true));
}

TEST(DataOrderTest, KeepsTheOrderOfTheFileWhenAsked) {
  EXPECT_THAT(data_order(42, 5, 4, false), ElementsAre(0, 1, 2, 3));
}

TEST(HeldOutRowsTest, HoldsOutTheShareRoundedUpAndNeverAll) {
  const auto count = [](std::size_t rows, double share) {
    const auto held = held_out_rows(42, rows, share);
    EXPECT_EQ(held.size(), rows);
    return std::count(held.begin(), held.end(), true);
  };
  EXPECT_EQ(count(100, 0.0), 0);
  EXPECT_EQ(count(100, 0.1), 10);
  EXPECT_EQ(count(101, 0.1), 11);
  EXPECT_EQ(count(2, 0.9), 1);
  EXPECT_EQ(count(1, 0.5), 0);
}

TEST(HeldOutRowsTest, IsNotTheBeginningOfAnEpoch) {
  const auto held = held_out_rows(42, 1000, 0.1);
  const auto order = data_order(42, 0, 1000, true);
  const auto first = std::count_if(order.begin(), order.begin() + 100,
                                   [&](std::uint32_t row) { return held[row]; });
  EXPECT_LT(first, 30);
}

}  // namespace
}  // namespace mayfly
