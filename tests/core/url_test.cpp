// A token follows an origin, so what counts as the same origin is a matter of safety.
#include "core/url.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

TEST(UrlTest, ComparesOrigins) {
  EXPECT_EQ(origin_of("https://HuggingFace.co/a"), "https://huggingface.co:443");
  EXPECT_EQ(origin_of("https://huggingface.co:443"), origin_of("https://huggingface.co/x?y#z"));
  EXPECT_EQ(origin_of("http://127.0.0.1:8377/"), "http://127.0.0.1:8377");
  EXPECT_EQ(origin_of("http://[::1]/x"), "http://[::1]:80");
  EXPECT_EQ(origin_of("http://[::1]:90"), "http://[::1]:90");
  EXPECT_NE(origin_of("http://huggingface.co"), origin_of("https://huggingface.co"));
  EXPECT_NE(origin_of("https://huggingface.co"), origin_of("https://huggingface.co:444"));
  EXPECT_NE(origin_of("https://huggingface.co"), origin_of("https://huggingface.co.evil.org"));
}

TEST(UrlTest, IsNotFooledByUserNames) {
  EXPECT_EQ(origin_of("https://huggingface.co@evil.org/x"), "https://evil.org:443");
  EXPECT_EQ(origin_of("https://evil.org?@huggingface.co"), "https://evil.org:443");
}

TEST(UrlTest, KnowsOnlyTheWeb) {
  EXPECT_EQ(origin_of("file:///etc/passwd"), "");
  EXPECT_EQ(origin_of("huggingface.co"), "");
  EXPECT_EQ(origin_of("https:///x"), "");
  EXPECT_EQ(origin_of(""), "");
}

TEST(UrlTest, FollowsRelativeAddresses) {
  const std::string base = "https://hub.org/a/b?q=1/2#f";
  EXPECT_EQ(*resolve_url(base, "https://cdn.org/x"), "https://cdn.org/x");
  EXPECT_EQ(*resolve_url(base, "//cdn.org/x"), "https://cdn.org/x");
  EXPECT_EQ(*resolve_url(base, "/api/c?d=e:f"), "https://hub.org/api/c?d=e:f");
  EXPECT_EQ(*resolve_url(base, "c"), "https://hub.org/a/c");
  EXPECT_EQ(*resolve_url("https://hub.org", "c"), "https://hub.org/c");
}

TEST(UrlTest, RefusesToLeaveTheWeb) {
  for (const char* location : {"file:///etc/passwd", "ftp://x/y", "javascript:1", "data:,x"}) {
    const auto url = resolve_url("https://hub.org/a", location);
    ASSERT_FALSE(url) << location;
    EXPECT_EQ(url.error().kind, ErrorKind::refused);
  }
}

TEST(UrlTest, EncodesOneSegment) {
  EXPECT_EQ(percent_encode("ckpt/epoch-2"), "ckpt%2Fepoch-2");
  EXPECT_EQ(percent_encode("a_b.c~d-9"), "a_b.c~d-9");
  EXPECT_EQ(percent_encode("é %"), "%C3%A9%20%25");
}

TEST(UrlTest, DecodesWhatItEncodes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(*percent_decode(percent_encode(all)), all);
  EXPECT_EQ(*percent_decode("%2f%41"), "/A");
  for (const char* bad : {"%", "%4", "a%4", "%zz", "%4g"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

}  // namespace
}  // namespace mayfly
