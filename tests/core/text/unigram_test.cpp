// What no learnt vocabulary is sure to show; whole files are compared in oracle.text_characters.
#include "core/text/unigram.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

constexpr TokenId kFirstLetter = 256;  // before it, the bytes

// Tokens for all bytes, of score -20, and then `tokens`.
TokenizerSpec spec_of_tokens(const std::vector<TokenizerSpec::ScoredToken>& tokens) {
  TokenizerSpec spec;
  for (TokenId id = 0; id < kFirstLetter; ++id) {
    spec.scored_tokens.push_back({"<byte " + std::to_string(id) + ">", -20.0});
    spec.vocabulary.push_back({std::string(1, static_cast<char>(id)), id, false});
  }
  for (const TokenizerSpec::ScoredToken& token : tokens) spec.scored_tokens.push_back(token);
  return spec;
}

std::vector<TokenId> ids_in(const TokenizerSpec& spec, std::string_view text) {
  std::vector<Unigram::Way> ways;
  std::vector<TokenId> ids{7};  // is replaced
  Unigram(spec).encode(text, ways, ids);
  return ids;
}

TEST(UnigramTest, TakesTheLargestSumAndNotTheLongestToken) {
  const auto spec =
      spec_of_tokens({{"a", -1.0}, {"b", -1.0}, {"ab", -2.5}, {"bc", -3.0}, {"c", -1.5}});
  EXPECT_EQ(ids_in(spec, "ab"), (std::vector<TokenId>{256, 257}));
  EXPECT_EQ(ids_in(spec, "abc"), (std::vector<TokenId>{256, 257, 260}));
}

TEST(UnigramTest, KeepsTheWayFoundFirstOfTwoWithOneSum) {
  const auto spec = spec_of_tokens({{"a", -1.0}, {"b", -1.0}, {"ab", -2.0}});
  EXPECT_EQ(ids_in(spec, "ab"), (std::vector<TokenId>{258}));
}

TEST(UnigramTest, WritesCharactersWithoutATokenAsBytes) {
  const auto spec = spec_of_tokens({{"a", -1.0}});
  EXPECT_EQ(ids_in(spec, "a\u00e9a"), (std::vector<TokenId>{256, 0xC3, 0xA9, 256}));
  EXPECT_EQ(ids_in(spec, "\u00e9\u00e9"), (std::vector<TokenId>{0xC3, 0xA9, 0xC3, 0xA9}));
}

// -20 as one token; with an unknown "b" -30 and what "a" scores, so that 11 for it is enough and 9
// not.
TEST(UnigramTest, CountsAnUnknownCharacterTenBelowTheWorstToken) {
  EXPECT_EQ(ids_in(spec_of_tokens({{"a", 9.0}, {"ab", -20.0}}), "ab"), (std::vector<TokenId>{257}));
  EXPECT_EQ(ids_in(spec_of_tokens({{"a", 11.0}, {"ab", -20.0}}), "ab"),
            (std::vector<TokenId>{256, 'b'}));
}

TEST(UnigramTest, MakesNothingOfNothing) {
  EXPECT_TRUE(ids_in(spec_of_tokens({{"a", -1.0}}), "").empty());
}

}  // namespace
}  // namespace mayfly
