// What counts as a number, a switch, an amount or a duration, on both sides of each edge. A value
// taken for another than the one meant is a wrong bill or a wrong model.
#include "core/config/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/run_config.h"
#include "core/config/yaml.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ConfigNode node(const std::string& text) {
  return scalar_node(text, ConfigNode::Style::bare);
}

template <class T>
std::string refusal(const std::string& text, const FieldDoc& doc = {}) {
  const Result<T> value = read_value<T>(node(text), doc);
  return value ? "accepted" : value.error().message;
}

TEST(ValueTest, ReadsOnlyTrueAndFalseAsSwitches) {
  for (const char* text : {"true", "True", "TRUE"}) EXPECT_TRUE(*read_value<bool>(node(text), {}));
  for (const char* text : {"false", "False", "FALSE"}) {
    EXPECT_FALSE(*read_value<bool>(node(text), {}));
  }
  for (const char* text : {"yes", "no", "on", "off", "1", "0", "y", "tRue", "", " true"}) {
    EXPECT_EQ(refusal<bool>(text), "must be true or false, not \"" + std::string(text) + "\"");
  }
}

TEST(ValueTest, ReadsWholeNumbers) {
  const auto read = [](const char* text) { return *read_value<std::int64_t>(node(text), {}); };
  EXPECT_EQ(read("0"), 0);
  EXPECT_EQ(read("-7"), -7);
  EXPECT_EQ(read("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(refusal<std::int64_t>("9223372036854775808"),
            "9223372036854775808 is too large a number");
  EXPECT_EQ(refusal<std::int64_t>("010"),
            "010 starts with a zero, which some take for octal: write 10");
  EXPECT_EQ(refusal<std::int64_t>("-010"),
            "-010 starts with a zero, which some take for octal: write -10");
  for (const char* text : {"", "1.5", "1e3", "0x10", "1_000", "1,000", " 1", "1 ", "+1", "one"}) {
    EXPECT_THAT(refusal<std::int64_t>(text), HasSubstr("must be a whole number, not")) << text;
  }
}

TEST(ValueTest, ReadsNumbers) {
  const auto read = [](const char* text) { return *read_value<double>(node(text), {}); };
  EXPECT_EQ(read("2e-4"), 2e-4);
  EXPECT_EQ(read("0.0002"), 2e-4);
  EXPECT_EQ(read("2.0E-4"), 2e-4);
  EXPECT_EQ(read(".5"), 0.5);
  EXPECT_EQ(read("+1.5"), 1.5);
  EXPECT_EQ(read("-3"), -3.0);
  EXPECT_THAT(refusal<double>("1e400"), HasSubstr("beyond what a number can hold"));
  for (const char* text :
       {"", "nan", "inf", ".inf", "1,5", "0x1p3", "fast", "1 ", "--1", "+-1", "1.2.3", "e5", "."}) {
    EXPECT_THAT(refusal<double>(text), HasSubstr("must be a number, not")) << text;
  }
}

TEST(ValueTest, KeepsRangesOnBothSides) {
  const FieldDoc share{.doc = "", .at_least = 0, .at_most = 0.95};
  EXPECT_EQ(refusal<double>("0", share), "accepted");
  EXPECT_EQ(refusal<double>("0.95", share), "accepted");
  EXPECT_EQ(refusal<double>("-0.0001", share), "must be at least 0, not -0.0001");
  EXPECT_EQ(refusal<double>("0.9500001", share), "must be at most 0.95, not 0.9500001");
  const FieldDoc steps{.doc = "", .unit = "steps", .at_least = 1, .at_most = 8};
  EXPECT_EQ(refusal<std::int64_t>("1", steps), "accepted");
  EXPECT_EQ(refusal<std::int64_t>("8", steps), "accepted");
  EXPECT_EQ(refusal<std::int64_t>("0", steps), "must be at least 1 steps, not 0");
  EXPECT_EQ(refusal<std::int64_t>("9", steps), "must be at most 8 steps, not 9");
}

TEST(ValueTest, ReadsAmountsExactly) {
  EXPECT_EQ(read_value<Usd>(node("12.345678"), {})->micros, 12'345'678);
  const FieldDoc limit{.doc = "", .unit = "USD", .at_least = 0.001};
  EXPECT_EQ(refusal<Usd>("0.001", limit), "accepted");
  EXPECT_EQ(refusal<Usd>("0.000999", limit), "must be at least 0.001 USD, not 0.000999");
  for (const char* text : {"", "$5", "5 USD", "1e3", "-1", "0.0000001"}) {
    EXPECT_THAT(refusal<Usd>(text), HasSubstr("must be an amount such as")) << text;
  }
}

TEST(ValueTest, ReadsDurationsWithTheirUnit) {
  const auto read = [](const char* text) {
    return read_value<std::chrono::seconds>(node(text), {})->count();
  };
  EXPECT_EQ(read("90s"), 90);
  EXPECT_EQ(read("30m"), 1'800);
  EXPECT_EQ(read("6h"), 21'600);
  EXPECT_EQ(read("2d"), 172'800);
  EXPECT_EQ(read("0"), 0);
  for (const char* text : {"", "s", "90", "1.5h", "-1s", "1h30m", "5 m", "5w", "99999999999999d"}) {
    EXPECT_THAT(refusal<std::chrono::seconds>(text), HasSubstr("must be a duration such as"))
        << text;
  }
  const FieldDoc often{.doc = "", .at_least = 60, .at_most = 3600};
  EXPECT_EQ(refusal<std::chrono::seconds>("60s", often), "accepted");
  EXPECT_EQ(refusal<std::chrono::seconds>("59s", often), "must be at least 1m, not 59s");
  EXPECT_EQ(refusal<std::chrono::seconds>("61m", often), "must be at most 1h, not 61m");
}

TEST(ValueTest, ReadsDurationsForNumbersOfHoursAndMinutes) {
  const FieldDoc hours{.doc = "", .unit = "hours", .at_least = 0.5};
  EXPECT_EQ(*read_value<double>(node("90m"), hours), 1.5);
  EXPECT_EQ(*read_value<double>(node("2"), hours), 2.0);
  EXPECT_EQ(refusal<double>("29m", hours), "must be at least 0.5 hours, not 29m");
  const FieldDoc minutes{.doc = "", .unit = "minutes"};
  EXPECT_EQ(*read_value<double>(node("90s"), minutes), 1.5);
  EXPECT_THAT(refusal<double>("90s"), HasSubstr("must be a number"));
}

TEST(ValueTest, ReadsListsWrittenEitherWay) {
  const auto list = read_value<std::vector<std::int64_t>>(node("11, 23,37"), {});
  EXPECT_THAT(*list, ElementsAre(11, 23, 37));
  EXPECT_THAT(*read_value<std::vector<std::string>>(parse_inline_value("['a,b', c]").root, {}),
              ElementsAre("a,b", "c"));
  EXPECT_THAT(*read_value<std::vector<std::string>>(node(""), {}), IsEmpty());
  EXPECT_THAT(refusal<std::vector<std::int64_t>>("1,,2"), HasSubstr("empty part between commas"));
  EXPECT_THAT(refusal<std::vector<std::int64_t>>("1,"), HasSubstr("empty part between commas"));
  EXPECT_THAT(refusal<std::vector<std::int64_t>>("1,x"), HasSubstr("must be a whole number"));
}

TEST(ValueTest, PlacesAFaultInsideAList) {
  const auto list =
      read_value<std::vector<std::int64_t>>(parse_yaml("[1,\n  x]", "f").root, FieldDoc{.doc = ""});
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().at.line, 2);
  EXPECT_EQ(list.error().at.column, 3);
}

TEST(ValueTest, ReadsMapsOfTexts) {
  using Texts = std::map<std::string, std::string>;
  EXPECT_EQ(*read_value<Texts>(parse_inline_value("{animal: dogs}").root, {}),
            (Texts{{"animal", "dogs"}}));
  EXPECT_EQ(*read_value<Texts>(node("a=1,b=x=y"), {}), (Texts{{"a", "1"}, {"b", "x=y"}}));
  EXPECT_THAT(refusal<Texts>("dogs"), HasSubstr("a text such as name=value"));
  EXPECT_THAT(refusal<Texts>("=dogs"), HasSubstr("a text such as name=value"));
}

TEST(ValueTest, TakesNothingAndBlankForNotSet) {
  using Maybe = std::optional<std::string>;
  EXPECT_EQ(*read_value<Maybe>(ConfigNode{}, {}), std::nullopt);
  EXPECT_EQ(*read_value<Maybe>(node(""), {}), std::nullopt);
  EXPECT_EQ(*read_value<Maybe>(node("x"), {}), "x");
}

TEST(ValueTest, NamesTheChoices) {
  EXPECT_EQ(refusal<LrScheduler>("cosin"),
            "\"cosin\" is not one of cosine, linear, constant, constant_with_warmup, wsd");
  EXPECT_EQ(*read_value<LogLevelName>(node("DEBUG"), {}), LogLevelName::debug);
}

TEST(ValueTest, NeverShowsASecret) {
  EXPECT_EQ(read_value<Secret>(node("hf_x"), {})->reveal(), "hf_x");
  EXPECT_EQ(inline_yaml(write_value(Secret("hf_x"))), "null");
  const auto wrong = read_value<Secret>(parse_inline_value("[hf_x]").root, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message, "must be a text, not a list");
}

TEST(ValueTest, SaysWhatItFoundInsteadOfAScalar) {
  const auto message = [](const std::string& text) {
    return read_value<std::int64_t>(parse_inline_value(text).root, {}).error().message;
  };
  EXPECT_EQ(message("[1]"), "must be a whole number, not a list");
  EXPECT_EQ(message("{a: 1}"), "must be a whole number, not a map");
  EXPECT_EQ(message("null"), "must be a whole number, not nothing");
}

TEST(ValueTest, WritesNumbersThatEveryReaderTakesForNumbers) {
  const auto text = [](double value) { return inline_yaml(write_value(value)); };
  EXPECT_EQ(text(0), "0");
  EXPECT_EQ(text(0.0005), "0.0005");
  EXPECT_EQ(text(1e-6), "0.000001");
  EXPECT_EQ(text(1e-8), "1.0e-08");
  EXPECT_EQ(text(1.5e-9), "1.5e-09");
  EXPECT_EQ(text(-2.5), "-2.5");
  EXPECT_EQ(text(1e14), "100000000000000");
  EXPECT_EQ(text(1e15), "1.0e+15");
  for (const double value : {0.1, 1.0 / 3, 2e-4, 5e-324, 1.7976931348623157e308, 123456.789}) {
    EXPECT_EQ(*read_value<double>(write_value(value), {}), value);
  }
}

TEST(ValueTest, WritesDurationsInTheLargestUnit) {
  EXPECT_EQ(duration_text(std::chrono::seconds(0)), "0s");
  EXPECT_EQ(duration_text(std::chrono::seconds(90)), "90s");
  EXPECT_EQ(duration_text(std::chrono::seconds(900)), "15m");
  EXPECT_EQ(duration_text(std::chrono::seconds(3600)), "1h");
  EXPECT_EQ(duration_text(std::chrono::seconds(86400)), "1d");
  EXPECT_EQ(duration_text(std::chrono::seconds(86401)), "86401s");
}

}  // namespace
}  // namespace mayfly
