// Packed texts travel to machines where cloud-init unpacks them, and come from files that may be
// damaged or made to fill the memory.
#include "core/gzip.h"

#include <random>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(GzipTest, GivesBackWhatWasPacked) {
  std::mt19937 random(1);
  for (const std::size_t size : {0U, 1U, 16383U, 16384U, 16385U, 200000U}) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random() % 7);
    const auto back = gzip_expand(gzip_compress(text), size);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, text);
  }
  EXPECT_EQ(gzip_compress("the same"), gzip_compress("the same"));
}

TEST(GzipTest, RefusesWhatIsDamagedCutShortOrTooLarge) {
  const std::string packed = gzip_compress(std::string(100000, 'x'));
  EXPECT_TRUE(gzip_expand(packed, 100000));
  EXPECT_EQ(gzip_expand(packed, 99999).error().kind, ErrorKind::corrupt);
  EXPECT_EQ(gzip_expand(packed.substr(0, packed.size() - 1), 100000).error().kind,
            ErrorKind::corrupt);
  EXPECT_EQ(gzip_expand("", 10).error().kind, ErrorKind::corrupt);
  EXPECT_EQ(gzip_expand("no gzip at all", 10).error().kind, ErrorKind::corrupt);
  std::string flipped = packed;
  flipped[flipped.size() - 6] = static_cast<char>(flipped[flipped.size() - 6] ^ 1);  // the CRC
  EXPECT_EQ(gzip_expand(flipped, 100000).error().kind, ErrorKind::corrupt);
}

}  // namespace
}  // namespace mayfly
