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
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']'), "x"));
  EXPECT_FALSE(parse_json(std::string(65, '[') + std::string(65, ']'), "x"));
  EXPECT_FALSE(parse_json(std::string(64, '[') + "{}" + std::string(64, ']'), "x"));
}

TEST(JsonTest, RefusesANumberThatNoDoubleHolds) {
  const auto parsed = parse_json("{\"a\": 1e999}", "x");
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message.find("1e999"), std::string::npos);
}

TEST(JsonTest, ReadsEveryKindOfValue) {
  const auto parsed = parse_json(
      R"({"n": null, "t": true, "i": -3, "u": 18446744073709551615, "d": 0.5, "s": "\u00e9",
          "l": [[], {}, [1, [2]], "x"], "o": {"a": {"b": []}}})",
      "x");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(json_line(*parsed),
            "{\"d\":0.5,\"i\":-3,\"l\":[[],{},[1,[2]],\"x\"],\"n\":null,\"o\":{\"a\":{\"b\":[]}},"
            "\"s\":\"é\",\"t\":true,\"u\":18446744073709551615}");
  EXPECT_EQ(*parse_json("3", "x"), 3);
  EXPECT_FALSE(parse_json("", "x"));
  EXPECT_FALSE(parse_json("[1] 2", "x"));
  EXPECT_FALSE(parse_json("[1", "x"));
  EXPECT_FALSE(parse_json("\"\xff\"", "x"));
}

TEST(JsonTest, WritesOneLineAndKeepsBytesThatAreNotUtf8FromThrowing) {
  EXPECT_EQ(json_line({{"b", 1}, {"a", "é"}}), "{\"a\":\"é\",\"b\":1}");
  EXPECT_NO_THROW(json_line({{"a", "\xff"}}));
}

}  // namespace
}  // namespace mayfly
