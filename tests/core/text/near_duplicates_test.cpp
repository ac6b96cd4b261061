// A pair that is missed is trained twice, one that is made up is lost: so what is found is compared
// with every pair's similarity, and the edge of what is near is held from both sides.
#include "core/text/near_duplicates.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(WordGramsTest, AreFiveWordsEach) {
  EXPECT_THAT(word_grams("one two three four five six seven"), SizeIs(3));
  EXPECT_EQ(word_grams("One,  TWO three-four\nfive!"), word_grams("one two three four five"));
  EXPECT_NE(word_grams("one two three four five"), word_grams("two one three four five"));
  EXPECT_THAT(word_grams("again again again again again again again"), SizeIs(1));
}

TEST(WordGramsTest, OfAShortTextAreAllItsWords) {
  EXPECT_THAT(word_grams("two words"), SizeIs(1));
  EXPECT_EQ(word_grams("two words"), word_grams("two, words."));
  EXPECT_NE(word_grams("two words"), word_grams("words two"));
  EXPECT_THAT(word_grams("?! -"), IsEmpty());
  EXPECT_NE(word_grams("caf\xc3\xa9"), word_grams("caf"));
}

TEST(JaccardTest, IsTheShareOfWhatEitherHas) {
  EXPECT_EQ(jaccard({1, 2, 3}, {2, 3, 4}), 0.5);
  EXPECT_EQ(jaccard({1, 2}, {1, 2}), 1.0);
  EXPECT_EQ(jaccard({1}, {2, 3}), 0.0);
  EXPECT_EQ(jaccard({}, {}), 0.0);
}

// So many of `all` grams are in both, and as many in one only, in turn.
std::pair<WordGrams, WordGrams> sets(std::uint64_t both, std::uint64_t apart, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  WordGrams a, b;
  for (std::uint64_t i = 0; i < both; ++i) {
    a.push_back(random());
    b.push_back(a.back());
  }
  for (std::uint64_t i = 0; i < apart; ++i) (i % 2 == 0 ? a : b).push_back(random());
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return {a, b};
}

TEST(NearDuplicatesTest, FourFifthsAreNearAndLessIsNot) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    NearDuplicates near, apart;
    const auto [a, b] = sets(80, 20, seed);
    ASSERT_EQ(jaccard(a, b), 0.8);
    EXPECT_EQ(near.add(7, a), std::nullopt);
    EXPECT_EQ(near.add(8, b), 7u) << seed;
    const auto [c, d] = sets(79, 21, seed);
    EXPECT_EQ(apart.add(0, c), std::nullopt);
    EXPECT_EQ(apart.add(1, d), std::nullopt) << seed;
  }
}

TEST(NearDuplicatesTest, WithoutWordsNothingIsNear) {
  NearDuplicates near;
  EXPECT_EQ(near.add(0, {}), std::nullopt);
  EXPECT_EQ(near.add(1, {}), std::nullopt);
}

std::string sentence(std::mt19937_64& random, std::size_t words) {
  std::string text;
  for (std::size_t i = 0; i < words; ++i) text += "w" + std::to_string(random() % 500) + " ";
  return text;
}

// Copies of earlier texts with some words changed, so that similarities lie all over.
std::vector<WordGrams> family(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> texts;
  std::vector<WordGrams> grams;
  for (std::size_t i = 0; i < count; ++i) {
    std::string text = sentence(random, 30 + random() % 200);
    if (i > 0 && random() % 2 == 0) {
      text = texts[random() % i];
      for (std::uint64_t changes = random() % 8; changes > 0; --changes) {
        text[random() % text.size()] = 'x';
      }
    }
    texts.push_back(text);
    grams.push_back(word_grams(text));
  }
  return grams;
}

TEST(NearDuplicatesTest, FindsWhatComparingEveryPairFinds) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector<WordGrams> rows = family(400, seed);
    NearDuplicates near;
    std::vector<std::size_t> kept;
    std::size_t found = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::optional<std::size_t> expected;
      for (const std::size_t earlier : kept) {
        if (jaccard(rows[earlier], rows[i]) >= kNear && !expected) expected = earlier;
      }
      ASSERT_EQ(near.add(i, rows[i]), expected) << "seed " << seed << ", row " << i;
      if (!expected) kept.push_back(i);
      found += expected.has_value();
    }
    EXPECT_GT(found, 40u);
    EXPECT_GT(kept.size(), 100u);
  }
}

}  // namespace
}  // namespace mayfly
