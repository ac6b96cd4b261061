// The tokens of a text depend on its composed form and on what is valid; both have edges that
// libraries get wrong (Hangul, order of marks, half characters).
#include "core/text/unicode.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(UnicodeTest, KnowsUtf8) {
  EXPECT_TRUE(is_valid_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
  EXPECT_FALSE(is_valid_utf8("\xff"));
  EXPECT_FALSE(is_valid_utf8("\xc3"));              // cut off
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80"));      // a surrogate
  EXPECT_FALSE(is_valid_utf8("\xc0\xaf"));          // overlong
  EXPECT_FALSE(is_valid_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
}

TEST(UnicodeTest, ReplacesEachMaximalPartThatIsNotUtf8) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(to_valid_utf8("ok"), "ok");
  EXPECT_EQ(to_valid_utf8("a\xff"
                          "b"),
            "a" + r + "b");
  EXPECT_EQ(to_valid_utf8("\xe2\x82"), r);  // one start of a character, one sign
  EXPECT_EQ(to_valid_utf8("\xe2\x82x"), r + "x");
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80"), r + r + r);  // no character starts so
  EXPECT_EQ(to_valid_utf8("\xf0\x9f\x98"), r);
  EXPECT_EQ(to_valid_utf8("\xc0\xaf"), r + r);
}

TEST(UnicodeTest, Composes) {
  EXPECT_EQ(nfc("plain"), "plain");
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("a\u0302\u0323"), "\u1ead");       // marks are put in order first
  EXPECT_EQ(nfc("\u1112\u1161\u11ab"), "\ud55c");  // Hangul by arithmetic
  EXPECT_EQ(nfc("\uac00\u11a8"), "\uac01");        // a syllable and one more consonant
  EXPECT_EQ(nfc("\u212b\u2126"), "\u00c5\u03a9");  // signs that are letters
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");        // excluded from composing
  EXPECT_EQ(nfc("\u4e2d\u6587x\u0301y"), "\u4e2d\u6587x\u0301y");  // nothing to compose with
}

TEST(UnicodeTest, LeavesMarksThatTheReferenceDoesNotKnowWhereTheyAre) {
  // U+08D3 came with Unicode 11; by today's tables it would go before U+0301.
  EXPECT_EQ(nfc("x\u0301\u08d3"), "x\u0301\u08d3");
  EXPECT_EQ(nfc("x\u0301\u0323"), "x\u0323\u0301");
}

TEST(UnicodeTest, SaysWhereComposedTextCameFrom) {
  const Composed composed = nfc_with_places("xe\u0301y");
  EXPECT_EQ(composed.text, "x\u00e9y");
  ASSERT_EQ(composed.places.size(), 3u);
  EXPECT_EQ(composed.places[1].composed, 3u);
  EXPECT_EQ(composed.places[1].original, 4u);
  EXPECT_EQ(composed.places[2].composed, composed.text.size());
  EXPECT_EQ(composed.places[2].original, 5u);
}

TEST(UnicodeTest, TellsNumbersFromLetters) {
  for (const char32_t c : {U'0', U'9', U'\u0663', U'\u00bd', U'\u2163', U'\u00b2'}) {
    EXPECT_TRUE(is_number(c)) << static_cast<int>(c);
  }
  for (const char32_t c : {U'a', U' ', U'\u4e00', U'\u0301'}) EXPECT_FALSE(is_number(c));
}

}  // namespace
}  // namespace mayfly
