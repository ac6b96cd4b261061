// What is mixed must be what the weights say, to the row, and the same on every machine: so counts
// are compared with their definition, and one order is pinned to its values.
#include "core/text/mix.h"

#include <map>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;
using Numbers = std::vector<std::int64_t>;

std::int64_t sum(const Numbers& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
}

TEST(MixCountsTest, RoundsByLargestRemainder) {
  EXPECT_THAT(mix_counts(Numbers{70, 30}, 10), ElementsAre(7, 3));
  EXPECT_THAT(mix_counts(Numbers{1, 1, 1}, 10), ElementsAre(4, 3, 3));
  EXPECT_THAT(mix_counts(Numbers{1, 1, 1}, 11), ElementsAre(4, 4, 3));
  // 47.5, 26.3, 26.2 of 100: the halves of Hamilton's rule.
  EXPECT_THAT(mix_counts(Numbers{475, 263, 262}, 100), ElementsAre(48, 26, 26));
  EXPECT_THAT(mix_counts(Numbers{999, 1}, 10), ElementsAre(10, 0));
  EXPECT_THAT(mix_counts(Numbers{5}, 3), ElementsAre(3));
  EXPECT_THAT(mix_counts(Numbers{1, 2}, 0), ElementsAre(0, 0));
}

TEST(MixCountsTest, IsNeverARowOffTheShare) {
  std::mt19937_64 random(20);
  for (int i = 0; i < 500; ++i) {
    Numbers weights(1 + random() % 6);
    for (auto& weight : weights) weight = 1 + static_cast<std::int64_t>(random() % 1'000'000'000);
    const auto total = static_cast<std::int64_t>(random() % 100'000);
    const Numbers counts = mix_counts(weights, total);
    ASSERT_EQ(sum(counts), total);
    for (std::size_t k = 0; k < counts.size(); ++k) {
      const double exact = static_cast<double>(total) * static_cast<double>(weights[k]) /
                           static_cast<double>(sum(weights));
      ASSERT_NEAR(static_cast<double>(counts[k]), exact, 1.0);
    }
  }
}

TEST(MixTotalTest, EndsWithTheFirstOrWithTheLastSource) {
  const Numbers weights = {70, 30};
  const auto first = MixStrategy::first_exhausted, all = MixStrategy::all_exhausted;
  EXPECT_EQ(mix_total(first, weights, Numbers{700, 1000}, INT64_MAX), 1000);
  // 599.7 of 1,999 rows are 600.
  EXPECT_EQ(mix_total(all, weights, Numbers{700, 600}, INT64_MAX), 1999);
  EXPECT_EQ(mix_total(first, weights, Numbers{700, 1000}, 50), 50);
  EXPECT_EQ(mix_total(all, weights, Numbers{700, 600}, 50), 50);
  EXPECT_EQ(mix_total(first, Numbers{5}, Numbers{8}, INT64_MAX), 8);
  EXPECT_EQ(mix_total(all, Numbers{5}, Numbers{8}, INT64_MAX), 8);
  // Ten rows a hundred times each, and more often than that.
  EXPECT_EQ(mix_total(all, Numbers{1, 1}, Numbers{10, 1000}, INT64_MAX), 2000);
  EXPECT_EQ(mix_total(all, Numbers{1, 1}, Numbers{10, 1020}, INT64_MAX), -1);
}

// By trying every total.
TEST(MixTotalTest, IsTheMostAndTheFewest) {
  std::mt19937_64 random(21);
  for (int i = 0; i < 300; ++i) {
    Numbers weights(1 + random() % 4), available(weights.size());
    for (auto& weight : weights) weight = 1 + static_cast<std::int64_t>(random() % 30);
    for (auto& rows : available) rows = 1 + static_cast<std::int64_t>(random() % 20);
    std::int64_t most = 0, fewest = -1;
    for (std::int64_t total = 0; total <= 20 * 120 && fewest < 0; ++total) {
      const Numbers counts = mix_counts(weights, total);
      bool within = true, reach = true;
      for (std::size_t k = 0; k < counts.size(); ++k) {
        within = within && counts[k] <= available[k];
        reach = reach && counts[k] >= available[k];
      }
      if (within) most = total;
      if (reach) fewest = total;
    }
    ASSERT_EQ(mix_total(MixStrategy::first_exhausted, weights, available, INT64_MAX), most);
    const auto all = mix_total(MixStrategy::all_exhausted, weights, available, INT64_MAX);
    if (all >= 0) {
      ASSERT_EQ(all, fewest);
    }
  }
}

std::vector<std::pair<int, int>> pairs(const std::vector<MixedRow>& rows) {
  std::vector<std::pair<int, int>> found;
  for (const MixedRow& row : rows) found.emplace_back(row.source, row.row);
  return found;
}

TEST(MixRowsTest, NeverChanges) {
  using P = std::pair<int, int>;
  EXPECT_THAT(pairs(mix_rows(Numbers{4, 3}, Numbers{4, 2}, 42)),
              ElementsAre(P{0, 0}, P{1, 0}, P{0, 1}, P{0, 2}, P{1, 2}, P{0, 3}));
}

TEST(MixRowsTest, TakesEachRowAsOftenAsTheOthersOrOnceMore) {
  const Numbers available = {7, 5, 9};
  const Numbers counts = {19, 5, 4};
  const auto rows = mix_rows(available, counts, 3);
  std::map<std::pair<int, int>, int> times;
  for (const auto& row : pairs(rows)) ++times[row];
  for (std::int64_t source = 0; source < 3; ++source) {
    std::int64_t all = 0;
    const auto k = static_cast<std::size_t>(source);
    for (int row = 0; row < available[k]; ++row) {
      const int taken = times[{static_cast<int>(source), row}];
      EXPECT_GE(taken, counts[k] / available[k]);
      EXPECT_LE(taken, counts[k] / available[k] + 1);
      all += taken;
    }
    EXPECT_EQ(all, counts[k]);
  }
  EXPECT_EQ(pairs(rows), pairs(mix_rows(available, counts, 3)));
  EXPECT_NE(pairs(rows), pairs(mix_rows(available, counts, 4)));
}

// Without shuffling, too, every stretch of the mix has about its shares.
TEST(MixRowsTest, SpreadsTheSourcesEvenly) {
  const auto rows = mix_rows(Numbers{700, 300}, Numbers{700, 300}, 1);
  std::int64_t of_first = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    of_first += rows[i].source == 0;
    EXPECT_NEAR(static_cast<double>(of_first), 0.7 * static_cast<double>(i + 1), 1.0);
  }
}

}  // namespace
}  // namespace mayfly
