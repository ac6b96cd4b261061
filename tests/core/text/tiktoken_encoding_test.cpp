// What could go wrong: ids that differ from those the model was trained with, in silence. The real
// thing is compared in tests/oracle_nanochat; here are the merges and what is refused.
#include "core/text/tiktoken_encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/text/nanochat_tokenizer.h"
#include "core/text/tokenizer.h"

namespace mayfly {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TiktokenEncoding encoding_with(const std::vector<std::string>& more) {
  TiktokenEncoding encoding{.pattern = "[a-z]+|[^a-z]+", .tokens = {}, .special = {}};
  for (int byte = 0; byte < 256; ++byte) encoding.tokens.emplace_back(1, static_cast<char>(byte));
  encoding.tokens.insert(encoding.tokens.end(), more.begin(), more.end());
  encoding.special["<|bos|>"] = static_cast<TokenId>(encoding.tokens.size());
  return encoding;
}

std::vector<TokenId> ids(const TiktokenEncoding& encoding, const std::string& text) {
  const auto tokenizer = Tokenizer::parse(tokenizer_json_of(encoding, "<|bos|>"), "tokenizer.json");
  EXPECT_TRUE(tokenizer) << (tokenizer ? "" : tokenizer.error().message);
  return tokenizer->encode(text);
}

TEST(TiktokenEncodingTest, JoinsWhateverTwoNeighboursAreAToken) {
  // "abc" was learnt as "ab" and "c"; where "bc" comes first it is "a" and "bc".
  const TiktokenEncoding encoding = encoding_with({"bc", "ab", "abc"});
  EXPECT_THAT(ids(encoding, "abc"), ElementsAre(258));
  EXPECT_THAT(ids(encoding, "abcab"), ElementsAre(258, 257));
  EXPECT_THAT(ids(encoding, "abcabc"), ElementsAre(258, 258));
}

TEST(TiktokenEncodingTest, APieceThatIsATokenIsThatToken) {
  const TiktokenEncoding encoding = encoding_with({"xyz"});  // no two tokens make it
  EXPECT_THAT(ids(encoding, "xyz"), ElementsAre(256));
  EXPECT_THAT(ids(encoding, "xyzx"), ElementsAre('x', 'y', 'z', 'x'));
}

// Pickles as Python 3 writes them, protocol 4.
std::string short_text(const std::string& value) {
  return "\x8c"s + static_cast<char>(value.size()) + value;
}
std::string ranks(int count) {
  std::string dict = "}(";
  for (int i = 0; i < count; ++i) {
    dict += "C\x01"s + static_cast<char>(i) + "M"s + static_cast<char>(i & 0xff) +
            static_cast<char>(i >> 8);
  }
  return dict + "u";
}
std::string pickled(const std::string& rank_dict, const std::string& special_dict) {
  return "\x80\x04"s + short_text("tiktoken.core") + short_text("Encoding") + "\x93)\x81}(" +
         short_text("pat_str") + short_text("a|b") + short_text("mergeable_ranks") + rank_dict +
         short_text("special_tokens") + special_dict + "ub.";
}
Error refusal(const std::string& bytes) {
  const auto encoding = read_tiktoken_pickle(bytes, "tokenizer.pkl");
  return encoding ? Error{ErrorKind::internal, "it was accepted"} : encoding.error();
}

TEST(TiktokenPickleTest, IsReadWithItsTables) {
  const auto encoding =
      read_tiktoken_pickle(pickled(ranks(256), "}" + short_text("<|bos|>") + "M\x00\x01s"s), "t");
  ASSERT_TRUE(encoding) << encoding.error().message;
  EXPECT_EQ(encoding->pattern, "a|b");
  EXPECT_EQ(encoding->tokens[65], "A");
  EXPECT_EQ(encoding->size(), 257);
  const auto files = nanochat_tokenizer(*encoding, 64, "tokenizer.pkl");
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, HasSubstr("tokenizer.pkl: it has no special token <|user"));
}

TEST(TiktokenPickleTest, RefusesTablesThatAreNone) {
  EXPECT_THAT(refusal(pickled(ranks(255), "}")).message, HasSubstr("no token of the byte 255"));
  EXPECT_THAT(refusal(pickled("}" + "C\x01xK\x05s"s, "}")).message, HasSubstr("0, 1, 2"));
  EXPECT_THAT(refusal(pickled("}" + short_text("x") + "K\x00s"s, "}")).message, HasSubstr("bytes"));
  EXPECT_THAT(refusal(pickled("N", "}")).message, HasSubstr("no mergeable_ranks"));
  // An id that a token has, and one far away.
  for (const char* const id : {"K\x07", "J\xff\xff\xff\x7f"}) {
    EXPECT_EQ(refusal(pickled(ranks(256), "}" + short_text("<|bos|>") + id + "s")).kind,
              ErrorKind::corrupt);
  }
  EXPECT_THAT(refusal("\x80\x04"s + short_text("tiktoken.core") + short_text("Encoding") +
                      "\x93)\x81" + short_text("gpt2") + "b.")
                  .message,
              HasSubstr("by its name"));
  EXPECT_EQ(refusal("\x80\x04N."s).kind, ErrorKind::unsupported);
}

}  // namespace
}  // namespace mayfly
