// Plans, events and hub answers are JSON; the library below lets duplicate keys and bottomless
// nesting through in silence, and both have been used against readers.
#include "core/json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mayfly {
namespace {

TEST(JsonTest, NamesTheLineAndColumnOfAFault) {
  const auto parsed = parse_json("{\n  \"a\": 1,\n  oops\n}", "plan.json");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().at.file, "plan.json");
  EXPECT_EQ(parsed.error().at.line, 3);
}

TEST(JsonTest, RefusesAKeyThatStandsTwice) {
  EXPECT_FALSE(parse_json(R"({"a": 1, "b": {"a": 2}, "a": 3})", "x"));
  EXPECT_TRUE(parse_json(R"({"a": 1, "b": {"a": 2}})", "x"));
}

TEST(JsonTest, RefusesNestingWithoutEnd) {
  EXPECT_TRUE(parse_json(std::string(60, '[') + std::string(60, ']'), "x"));
  EXPECT_FALSE(parse_json(std::string(70, '[') + std::string(70, ']'), "x"));
}

TEST(JsonTest, WritesOneLineAndKeepsBytesThatAreNotUtf8FromThrowing) {
  EXPECT_EQ(json_line({{"b", 1}, {"a", "é"}}), "{\"a\":\"é\",\"b\":1}");
  EXPECT_NO_THROW(json_line({{"a", "\xff"}}));
}

}  // namespace
}  // namespace mayfly
