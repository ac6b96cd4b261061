// An example that is in no pack is never trained on, one that is in two counts twice, and a pack
// that is too long does not fit in memory.
#include "core/text/packing.h"

#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::int64_t tokens_in(const Pack& pack, const std::vector<std::int64_t>& lengths) {
  return std::accumulate(
      pack.begin(), pack.end(), std::int64_t{0},
      [&](std::int64_t sum, std::uint32_t example) { return sum + lengths[example]; });
}

// From the documentation of TRL's pack_dataset, strategy "bfd": lengths 3, 4, 1 in packs of 4.
TEST(PackingTest, PutsEachWhereTheLeastRoomIsLeft) {
  EXPECT_THAT(pack_best_fit(std::vector<std::int64_t>{3, 4, 1}, 4),
              ElementsAre(ElementsAre(1), ElementsAre(0, 2)));
  // Of the packs with room for the 2, one has room for 3 and one for 4.
  EXPECT_THAT(pack_best_fit(std::vector<std::int64_t>{6, 7, 2}, 10),
              ElementsAre(ElementsAre(1, 2), ElementsAre(0)));
}

TEST(PackingTest, TakesEqualLengthsInTheOrderOfTheFile) {
  EXPECT_THAT(pack_best_fit(std::vector<std::int64_t>{5, 5, 5, 5, 5}, 10),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4)));
}

TEST(PackingTest, LeavesALongOneAlone) {
  EXPECT_THAT(pack_best_fit(std::vector<std::int64_t>{1, 12, 1}, 10),
              ElementsAre(ElementsAre(1), ElementsAre(0, 2)));
  EXPECT_THAT(pack_best_fit(std::vector<std::int64_t>{}, 10), IsEmpty());
  EXPECT_THAT(pack_best_fit(std::vector<std::int64_t>{1, 2}, 0),
              ElementsAre(ElementsAre(1), ElementsAre(0)));
}

TEST(PackingTest, HasEachOnceAndWastesLittle) {
  std::mt19937 random(7);
  for (const std::int64_t capacity : {64, 500, 1024}) {
    std::vector<std::int64_t> lengths(3000);
    for (auto& length : lengths) length = 1 + static_cast<std::int64_t>(random()) % capacity;
    std::vector<int> seen(lengths.size());
    std::int64_t all = 0;
    const std::vector<Pack> packs = pack_best_fit(lengths, capacity);
    for (const Pack& pack : packs) {
      EXPECT_LE(tokens_in(pack, lengths), capacity);
      all += tokens_in(pack, lengths);
      for (const std::uint32_t example : pack) ++seen[example];
    }
    EXPECT_EQ(seen, std::vector<int>(lengths.size(), 1));
    // Best fit, longest first, never needs more than 11/9 of the fewest there can be, plus one
    // (Johnson et al. 1974, doi:10.1137/0203025).
    EXPECT_LE(9 * static_cast<std::int64_t>(packs.size()), 11 * (all / capacity + 1) + 9);
  }
}

}  // namespace
}  // namespace mayfly
