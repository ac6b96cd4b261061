// A creation time read wrongly is a bill counted wrongly.
#include "core/provider/vendor_time.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

std::string read(const char* text) {
  const Result<WallTime> time = parse_vendor_time(text);
  return time ? format_utc(*time) : "error";
}

TEST(VendorTimeTest, ReadsEveryFormSeen) {
  EXPECT_EQ(read("2026-01-02T15:04:05Z"), "2026-01-02T15:04:05.000Z");
  EXPECT_EQ(read("2026-01-02T15:04:05.123Z"), "2026-01-02T15:04:05.123Z");
  EXPECT_EQ(read("2026-01-02T15:04:05.123456789Z"), "2026-01-02T15:04:05.123Z");
  EXPECT_EQ(read("2026-01-02T15:04:05.1Z"), "2026-01-02T15:04:05.100Z");
  EXPECT_EQ(read("2026-01-02T15:04:05-07:00"), "2026-01-02T22:04:05.000Z");
  EXPECT_EQ(read("2026-01-02T15:04:05.5+05:30"), "2026-01-02T09:34:05.500Z");
  EXPECT_EQ(read("2026-01-02 15:04:05+00"), "2026-01-02T15:04:05.000Z");
  EXPECT_EQ(read("2026-01-02T15:04:05"), "2026-01-02T15:04:05.000Z");
}

TEST(VendorTimeTest, RefusesTheRest) {
  for (const char* text :
       {"", "null", "2026-01-02", "2026-01-02T15:04:05+7", "yesterday at noon!!",
        "2026-01-02T15:04:05Zjunk", "2026-01-02T15:04:05+99:00", "2026-01-02T15:04:05+-1:00"}) {
    EXPECT_EQ(read(text), "error") << text;
  }
}

}  // namespace
}  // namespace mayfly
