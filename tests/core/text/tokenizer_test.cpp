// Wrong tokens train in silence: the loss goes down and the model is useless. The comparison with
// the reference is in tests/oracle_text; here are the edges, the places of tokens, and what is
// refused.
#include "core/text/tokenizer.h"

#include <chrono>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/text/tiny_model.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr TokenId kLo = 257, kHello = 259, kSpaceHello = 260, kStart = 262, kEnd = 263;

Tokenizer tokenizer_of(const nlohmann::json& json) {
  auto tokenizer = Tokenizer::parse(json.dump(), "tokenizer.json");
  EXPECT_TRUE(tokenizer) << (tokenizer ? "" : located_message(tokenizer.error()));
  return std::move(*tokenizer);
}

Tokenizer tiny() {
  return tokenizer_of(tiny_tokenizer());
}

TEST(TokenizerTest, MergesInTheOrderOfTheList) {
  EXPECT_THAT(tiny().encode("hello hello"), ElementsAre(kHello, kSpaceHello));
  EXPECT_THAT(tiny().encode("helo"), ElementsAre(256, kLo));  // "l o" comes before "he l"
  EXPECT_THAT(tiny().encode(""), IsEmpty());
}

TEST(TokenizerTest, EncodesEveryByteOfEveryCharacter) {
  EXPECT_THAT(tiny().encode("\u20ac"), ElementsAre(0xe2, 0x82, 0xac));
  EXPECT_THAT(tiny().encode(std::string_view("\0\n", 2)), ElementsAre(0, 10));
}

TEST(TokenizerTest, FindsSpecialTokensBeforeAnythingElse) {
  EXPECT_THAT(tiny().encode("<|im_start|>hello<|im_end|>"), ElementsAre(kStart, kHello, kEnd));
  EXPECT_THAT(tiny().encode("<|im_end|><|im_end|>"), ElementsAre(kEnd, kEnd));
  EXPECT_EQ(tiny().encode("<|im_end|").size(), 9u);
  EXPECT_EQ(tiny().encode("<<|im_end|>").back(), kEnd);
}

TEST(TokenizerTest, PrefersTheLongestOfTheAddedTokensThatBeginTogether) {
  auto json = tiny_tokenizer();
  json["added_tokens"].push_back({{"id", 300}, {"content", "<|im_end|>\n"}, {"special", false}});
  json["added_tokens"].back()["normalized"] = false;
  EXPECT_THAT(tokenizer_of(json).encode("<|im_end|>\nhello"), ElementsAre(300, kHello));
  EXPECT_THAT(tokenizer_of(json).encode("<|im_end|>hello"), ElementsAre(kEnd, kHello));
}

TEST(TokenizerTest, AddedTokensTakeWhiteSpaceAndStandAloneWhenTheySaySo) {
  auto json = tiny_tokenizer();
  const auto add = [&](const char* content, const char* flag) {
    json["added_tokens"].push_back({{"id", 300 + static_cast<int>(json["added_tokens"].size())},
                                    {"content", content},
                                    {"special", false},
                                    {"normalized", false},
                                    {flag, true}});
  };
  add("<L>", "lstrip");
  add("<R>", "rstrip");
  add("<W>", "single_word");
  const Tokenizer tokenizer = tokenizer_of(json);
  EXPECT_THAT(tokenizer.encode("! \n<L>!"), ElementsAre('!', 303, '!'));
  EXPECT_THAT(tokenizer.encode("!<R> \u2003!"), ElementsAre('!', 304, '!'));
  EXPECT_THAT(tokenizer.encode("!<W>!"), ElementsAre('!', 305, '!'));
  EXPECT_EQ(tokenizer.encode("a<W>!").size(), 5u);
  EXPECT_EQ(tokenizer.encode("!<W>_").size(), 5u);
}

TEST(TokenizerTest, TakesAPieceThatIsInTheVocabularyWholeWhenMergesAreIgnored) {
  auto json = tiny_tokenizer();
  json["model"]["vocab"]["xyz"] = 270;
  EXPECT_THAT(tokenizer_of(json).encode("xyz"), ElementsAre('x', 'y', 'z'));
  json["model"]["ignore_merges"] = true;
  EXPECT_THAT(tokenizer_of(json).encode("xyz"), ElementsAre(270));
}

TEST(TokenizerTest, ReadsMergesWrittenAsPairs) {
  auto json = tiny_tokenizer();
  json["model"]["merges"] =
      nlohmann::json::parse(R"([["h", "e"], ["l", "o"], ["he", "l"], ["hel", "lo"]])");
  EXPECT_THAT(tokenizer_of(json).encode("hello"), ElementsAre(kHello));
}

TEST(TokenizerTest, LeavesOutBytesWithoutATokenOrPutsTheUnknownOne) {
  auto json = tiny_tokenizer();
  json["model"]["vocab"].erase("z");
  EXPECT_THAT(tokenizer_of(json).encode("azz"), ElementsAre('a'));
  json["model"]["unk_token"] = "lo";
  EXPECT_THAT(tokenizer_of(json).encode("azz"), ElementsAre('a', kLo, kLo));
  json["model"]["fuse_unk"] = true;
  EXPECT_THAT(tokenizer_of(json).encode("azz"), ElementsAre('a', kLo));
}

TEST(TokenizerTest, DecodesAndReplacesHalfCharacters) {
  const Tokenizer tokenizer = tiny();
  const std::string text = "hello \u20ac <|im_start|>x\n";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), false), text);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), true), "hello \u20ac x\n");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{'a', 0xe2, 0x82}, false), "a\ufffd");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{-1, 9999, 'a'}, false), "a");
}

TEST(TokenizerTest, MakesTextUtf8First) {
  EXPECT_EQ(tiny().encode("a\xff"), tiny().encode("a\ufffd"));
}

TEST(TokenizerTest, SaysWhereTokensEnd) {
  const Tokenizer tokenizer = tiny();
  Encoder encoder(tokenizer);
  const Encoding encoding = encoder.encode_with_ends("hello<|im_end|> hello!");
  EXPECT_THAT(encoding.ids, ElementsAre(kHello, kEnd, kSpaceHello, '!'));
  EXPECT_THAT(encoding.ends, ElementsAre(5, 15, 21, 22));
}

TEST(TokenizerTest, SaysWhereTokensEndInTheTextBeforeItWasNormalized) {
  auto json = tiny_tokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  const Tokenizer tokenizer = tokenizer_of(json);
  Encoder encoder(tokenizer);
  // U+00E9 is two tokens; they stand for three bytes.
  const Encoding encoding = encoder.encode_with_ends("!e\u0301!<|im_end|>e\u0301");
  EXPECT_THAT(encoding.ids, ElementsAre('!', 0xc3, 0xa9, '!', kEnd, 0xc3, 0xa9));
  EXPECT_THAT(encoding.ends, ElementsAre(1, 2, 4, 5, 15, 16, 18));
}

TEST(TokenizerTest, RemembersWordsWithoutMixingThemUp) {
  const Tokenizer tokenizer = tiny();
  Encoder encoder(tokenizer);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 120; ++i) {
      const std::string word = "hello" + std::string(static_cast<std::size_t>(i % 60), 'x') + "lo";
      EXPECT_EQ(encoder.encode(word), tokenizer.encode(word));
    }
  }
}

TEST(TokenizerTest, JoinsAMegabyteWithoutACut) {
  const Tokenizer tokenizer = tiny();
  std::string text;
  while (text.size() < 1'000'000) text += "hello";
  EXPECT_EQ(tokenizer.encode(text).size(), text.size() / 5);
}

TEST(TokenizerTest, RepeatsAGroupOverALongPiece) {
  auto json = tiny_tokenizer();
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"behavior", "Removed"}, {"pattern", {{"Regex", "(?:ab|c(?=d)d?)+"}}}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "abcd";
  EXPECT_THAT(tokenizer_of(json).encode(text + "!"), ElementsAre('!'));
}

TEST(TokenizerTest, ShortAndLongPiecesAreJoinedAlike) {
  const Tokenizer tokenizer = tiny();
  const std::string part = "hehelolohellohelhlo";
  std::string text = "h";
  for (int i = 0; i < 8; ++i) text += part;  // beyond what is joined by looking at all pairs
  std::string decoded;
  const auto ids = tokenizer.encode(text);
  // The same by hand: the pair that is first in the list, leftmost first, until there is none.
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"h", "e"}, {"l", "o"}, {"he", "l"}, {"hel", "lo"}};
  for (bool found = true; found;) {
    found = false;
    for (const auto& [left, right] : merges) {
      for (std::size_t i = 0; i + 1 < symbols.size() && !found; ++i) {
        if (symbols[i] != left || symbols[i + 1] != right) continue;
        symbols[i] += symbols[i + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        found = true;
      }
      if (found) break;
    }
  }
  ASSERT_EQ(ids.size(), symbols.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(tokenizer.decode(std::vector{ids[i]}, false), symbols[i]);
  }
}

TEST(TokenizerTest, FindsIdsByToken) {
  const Tokenizer tokenizer = tiny();
  EXPECT_EQ(tokenizer.id_of("<|im_end|>"), kEnd);
  EXPECT_EQ(tokenizer.id_of(" hello"), kSpaceHello);
  EXPECT_EQ(tokenizer.id_of("nothing"), std::nullopt);
  EXPECT_TRUE(tokenizer.is_special(kEnd));
  EXPECT_FALSE(tokenizer.is_special(kHello));
  EXPECT_EQ(tokenizer.size(), kEnd + 1);
}

struct Refused {
  const char* name;
  nlohmann::json patch;  // applied to the tiny file
  ErrorKind kind;
  const char* says;
};

class RefusedTokenizerTest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedTokenizerTest, IsRefusedByName) {
  auto json = tiny_tokenizer();
  json.merge_patch(GetParam().patch);
  const auto tokenizer = Tokenizer::parse(json.dump(), "tokenizer.json");
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().kind, GetParam().kind);
  EXPECT_EQ(tokenizer.error().at.file, "tokenizer.json");
  EXPECT_THAT(tokenizer.error().message, HasSubstr(GetParam().says));
}

nlohmann::json steps(nlohmann::json first) {
  return {{"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {std::move(first),
              {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}}};
}

nlohmann::json split(const char* pattern) {
  return steps({{"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", pattern}}}});
}

const Refused kRefused[] = {
    {"UnigramWithoutBytes",
     {{"model", {{"type", "Unigram"}}}},
     ErrorKind::unsupported,
     "model.byte_fallback false"},
    {"WordPiece", {{"model", {{"type", "WordPiece"}}}}, ErrorKind::unsupported, "WordPiece"},
    {"ByteFallbackWithoutBytes",
     {{"model", {{"byte_fallback", true}}}, {"decoder", nullptr}, {"pre_tokenizer", nullptr}},
     ErrorKind::unsupported,
     "model.byte_fallback true, without all 256 bytes"},
    {"ByteFallbackWithByteLevel",
     {{"model", {{"byte_fallback", true}}}},
     ErrorKind::unsupported,
     "decoder.type ByteLevel"},
    {"Dropout", {{"model", {{"dropout", 0.1}}}}, ErrorKind::unsupported, "model.dropout"},
    {"Suffix",
     {{"model", {{"end_of_word_suffix", "</w>"}}}},
     ErrorKind::unsupported,
     "model.end_of_word_suffix"},
    {"Prepend",
     {{"normalizer", {{"type", "Prepend"}}}},
     ErrorKind::unsupported,
     "normalizer.type Prepend"},
    {"Lowercase",
     {{"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}}}},
     ErrorKind::unsupported,
     "Lowercase"},
    {"Metaspace",
     {{"pre_tokenizer", {{"type", "Metaspace"}}}},
     ErrorKind::unsupported,
     "pre_tokenizer.type Metaspace"},
    {"NoPreTokenizer", {{"pre_tokenizer", nullptr}}, ErrorKind::unsupported, "pre_tokenizer"},
    {"PrefixSpace",
     {{"pre_tokenizer", {{"add_prefix_space", true}}}},
     ErrorKind::unsupported,
     "add_prefix_space"},
    {"Punctuation", steps({{"type", "Punctuation"}}), ErrorKind::unsupported,
     "pretokenizers[0].type Punctuation"},
    {"Intersection", split("[a-z&&[aeiou]]"), ErrorKind::unsupported, "&&"},
    {"RepeatedRepetition", split("a{2,3}+"), ErrorKind::unsupported, "{n,m}+"},
    {"BrokenPattern", split("(a"), ErrorKind::unsupported, "parenthesis"},
    {"Decoder",
     {{"decoder", {{"type", "Metaspace"}}}},
     ErrorKind::unsupported,
     "decoder.type Metaspace"},
    {"MergeOfUnknown", {{"model", {{"merges", {"q x"}}}}}, ErrorKind::corrupt, "model.merges[0]"},
    {"MergeOfOne", {{"model", {{"merges", {"he"}}}}}, ErrorKind::corrupt, "model.merges[0]"},
    {"IdTwice", {{"model", {{"vocab", {{"he", 65}}}}}}, ErrorKind::corrupt, "the id 65 twice"},
    {"IdOfAddedToken",
     {{"added_tokens", {{{"id", 7}, {"content", "lo"}, {"special", true}}}}},
     ErrorKind::corrupt,
     "added_tokens"},
    {"HugeId",
     {{"model", {{"vocab", {{"he", 2000000000}}}}}},
     ErrorKind::corrupt,
     "has the id 2000000000"},
    {"NegativeId", {{"model", {{"vocab", {{"he", -5}}}}}}, ErrorKind::corrupt, "not a number"},
    {"VocabularyList",
     {{"model", {{"vocab", nlohmann::json::array()}}}},
     ErrorKind::corrupt,
     "model.vocab"},
};
INSTANTIATE_TEST_SUITE_P(All, RefusedTokenizerTest, testing::ValuesIn(kRefused),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(TokenizerTest, RefusesWhatIsNoJson) {
  for (const std::string& text : {std::string(), std::string("{"), std::string("[]"),
                                  std::string("\xff"), std::string(200, '[')}) {
    const auto tokenizer = Tokenizer::parse(text, "tokenizer.json");
    ASSERT_FALSE(tokenizer) << text;
    EXPECT_EQ(tokenizer.error().kind, ErrorKind::corrupt);
  }
}

// Whatever is done to a file, it is read or refused, and what is read encodes; run with sanitizers.
TEST(TokenizerTest, SurvivesDamagedFiles) {
  const std::string good = tiny_tokenizer().dump();
  std::mt19937 random(7);
  int read = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = good;
    for (int i = 0; i < 1 + round % 3; ++i) {
      text[random() % text.size()] = static_cast<char>(32 + random() % 95);
    }
    const auto tokenizer = Tokenizer::parse(text, "tokenizer.json");
    if (!tokenizer) continue;
    ++read;
    const auto ids = tokenizer->encode("hello <|im_start|>\u20ac 12 hello");
    tokenizer->decode(ids, false);
  }
  EXPECT_GT(read, 10);
}

TEST(TokenizerTest, SaysWhenThereIsNoFile) {
  const auto tokenizer = Tokenizer::load("/nowhere");
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace mayfly
