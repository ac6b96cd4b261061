// Variables carry tokens into a run. Guarded here: that a missing one is an error and not an empty
// token, that .env never overrides what is set, and that no value ends up in a message.
#include "core/config/environment.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::HasSubstr;
using testing::Not;

const Environment kVariables = {{"NAME", "value"}, {"EMPTY", ""}, {"NESTED", "${NAME}"}};

std::string expand(std::string_view text) {
  const Result<std::string> expanded = expand_variables(text, kVariables);
  return expanded ? *expanded : "error: " + expanded.error().message;
}

TEST(ExpandVariablesTest, ReplacesNames) {
  EXPECT_EQ(expand("${NAME}"), "value");
  EXPECT_EQ(expand("a-${NAME}-${NAME}-b"), "a-value-value-b");
  EXPECT_EQ(expand("${EMPTY}"), "");
  EXPECT_EQ(expand("plain $NAME {NAME} $ {x"), "plain $NAME {NAME} $ {x");
  EXPECT_EQ(expand("${NESTED}"), "${NAME}");  // once, so that a value cannot ask for another
}

TEST(ExpandVariablesTest, TakesTheDefaultForUnsetAndEmpty) {
  EXPECT_EQ(expand("${NONE:-x}"), "x");
  EXPECT_EQ(expand("${EMPTY:-x}"), "x");
  EXPECT_EQ(expand("${NAME:-x}"), "value");
  EXPECT_EQ(expand("${NONE:-}"), "");
  EXPECT_EQ(expand("${NONE:-a:-b}"), "a:-b");
}

TEST(ExpandVariablesTest, LeavesWhatIsEscaped) {
  EXPECT_EQ(expand("$${NAME}"), "${NAME}");
  EXPECT_EQ(expand("a$${b$${c"), "a${b${c");
  EXPECT_EQ(expand("$"), "$");
  EXPECT_EQ(expand("$$"), "$$");
}

TEST(ExpandVariablesTest, RefusesWhatIsNotSetOrNotClosed) {
  EXPECT_EQ(expand("${NONE}"), "error: the environment variable NONE is not set");
  EXPECT_EQ(expand("a ${NAME"), "error: the brace of ${ is not closed");
  EXPECT_EQ(expand("${}"), "error: ${} is not the name of an environment variable");
  EXPECT_EQ(expand("${1A}"), "error: ${1A} is not the name of an environment variable");
  EXPECT_EQ(expand("${A B}"), "error: ${A B} is not the name of an environment variable");
}

TEST(SoleVariableTest, KnowsATextThatIsOnlyAVariable) {
  EXPECT_EQ(sole_variable("${NAME}"), "NAME");
  EXPECT_EQ(sole_variable("${NAME:-x}"), "NAME");
  EXPECT_EQ(sole_variable("x${NAME}"), "");
  EXPECT_EQ(sole_variable("${NAME}x"), "");
  EXPECT_EQ(sole_variable("${A}${B}"), "");
  EXPECT_EQ(sole_variable("$${NAME}"), "");
  EXPECT_EQ(sole_variable(""), "");
}

TEST(DotenvTest, ReadsWhatPeopleWrite) {
  const auto variables = parse_dotenv(
      "# tokens\n\nHF_TOKEN=hf_abc  # mine\nexport A = b c \r\nB=\"two\\nlines # kept\"\n"
      "C='$x \\n'\nD=\nE=\"a\\\"b\" # c\n",
      ".env");
  ASSERT_TRUE(variables) << variables.error().message;
  EXPECT_EQ(*variables, (Environment{{"HF_TOKEN", "hf_abc"},
                                     {"A", "b c"},
                                     {"B", "two\nlines # kept"},
                                     {"C", "$x \\n"},
                                     {"D", ""},
                                     {"E", "a\"b"}}));
}

TEST(DotenvTest, NamesTheLineAndNotTheValue) {
  for (const char* line : {"hf_secret", "=hf_secret", "1A=hf_secret", "A=\"hf_secret",
                           "A='x' hf_secret", "A B=hf_secret"}) {
    const auto variables = parse_dotenv("OK=1\n" + std::string(line) + "\n", ".env");
    ASSERT_FALSE(variables) << line;
    EXPECT_EQ(variables.error().kind, ErrorKind::invalid_config);
    EXPECT_THAT(located_message(variables.error()), HasSubstr(".env:2:1: "));
    EXPECT_THAT(located_message(variables.error()), Not(HasSubstr("hf_secret")));
  }
}

TEST(FillNamesTest, ReplacesNamesInBraces) {
  const std::map<std::string, std::string> vars = {{"animal", "dogs"}, {"n", "7"}};
  EXPECT_EQ(*fill_names("out/{animal}-{n}.jsonl", vars), "out/dogs-7.jsonl");
  EXPECT_EQ(*fill_names("{a-b} {} {", vars), "{a-b} {} {");
  EXPECT_EQ(*fill_names("{{animal}}", vars), "{dogs}");
  EXPECT_EQ(*fill_names("${animal}", vars), "${animal}");
  const auto missing = fill_names("{plant}", vars);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "{plant} has no value");
  EXPECT_EQ(missing.error().hint, "set generate.vars.plant");
}

TEST(CurrentEnvironmentTest, SeesThisProcess) {
  ASSERT_EQ(setenv("MAYFLY_ENVIRONMENT_TEST", "a=b", 1), 0);
  EXPECT_EQ(current_environment().at("MAYFLY_ENVIRONMENT_TEST"), "a=b");
  unsetenv("MAYFLY_ENVIRONMENT_TEST");
}

}  // namespace
}  // namespace mayfly
