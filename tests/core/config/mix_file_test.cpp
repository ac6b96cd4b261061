// data.mix is a list of structures in a run file: each part is read as a section's keys are, and a
// mistake in one is named with its own place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/load.h"
#include "tests/core/config/text_file.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MixFileTest : public testing::Test {
 protected:
  LoadedConfig load(const std::string& text) {
    ConfigInputs inputs;
    inputs.working_directory = folder_.path();
    inputs.environment = {{"HOME", "/home/me"}, {"WHERE", "there"}};
    inputs.files = {folder_.write("run.yaml", text)};
    return load_config(inputs);
  }
  // "3:5 message | hint" of each problem.
  std::vector<std::string> problems_of(const std::string& text) {
    std::vector<std::string> lines;
    for (const Error& problem : load(text).problems) {
      lines.push_back(std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) +
                      " " + problem.message + (problem.hint.empty() ? "" : " | " + problem.hint));
    }
    return lines;
  }

  TestFolder folder_;
};

TEST_F(MixFileTest, ReadsAListOfStructures) {
  const LoadedConfig loaded = load(
      "model: {base: m}\ndata:\n  mix:\n    - {path: [~/a.jsonl, b.jsonl], weight: 0.7}\n"
      "    - path: \"${WHERE}/c.jsonl\"\n      name: \"{plant}\"\n      format: text\n"
      "      fields: {text: body}\n      weight: null\n");
  EXPECT_THAT(loaded.problems, IsEmpty());
  const auto& mix = loaded.config.data.mix;
  ASSERT_EQ(mix.size(), 2u);
  EXPECT_THAT(mix[0].path, ElementsAre("/home/me/a.jsonl", "b.jsonl"));
  EXPECT_EQ(mix[0].weight, 0.7);
  EXPECT_EQ(mix[0].format, std::nullopt);
  EXPECT_THAT(mix[1].path, ElementsAre("there/c.jsonl"));
  EXPECT_EQ(mix[1].weight, 1.0);
  EXPECT_EQ(mix[1].format, DataFormat::text);
  EXPECT_EQ(mix[1].fields_named.at("text"), "body");
  EXPECT_THAT(origin_text(loaded.origins.at("data.mix[1]")), HasSubstr("run.yaml:5:"));
}

TEST_F(MixFileTest, NamesThePlaceInAListOfStructures) {
  const std::string start = "model: {base: m}\ndata:\n  mix:\n    - {path: a.jsonl}\n    - ";
  EXPECT_THAT(problems_of(start + "{path: b.jsonl, weight: 0}\n"),
              ElementsAre("5:31 data.mix[1].weight must be at least 0.000001, not 0"));
  EXPECT_THAT(problems_of(start + "{path: b.jsonl, wieght: 1}\n"),
              ElementsAre("5:23 data.mix[1].wieght is no key of it | did you mean weight?"));
  EXPECT_THAT(problems_of(start + "b.jsonl\n"),
              ElementsAre("5:7 data.mix[1] must be a map with keys of path, weight, name, format, "
                          "fields, roles"));
  EXPECT_THAT(problems_of(start + "{weight: 1}\n"),
              ElementsAre("5:7 data.mix[1] has no path, so there is nothing to take from it | "
                          "{path: a.jsonl, weight: 0.7}"));
  EXPECT_THAT(problems_of(start + "{path: b.jsonl, fields: {question: prompt}}\n"),
              ElementsAre(HasSubstr("5:7 data.mix[1] fields: \"question\" is no key of a row")));
  EXPECT_THAT(problems_of(start + "{path: \"{owl}.jsonl\"}\n"),
              ElementsAre("5:7 data.mix[1]: {owl} has no value | set generate.vars.owl"));
  EXPECT_THAT(problems_of("model: {base: m}\ndata: {path: a.jsonl, mix: [{path: b.jsonl}]}\n"),
              ElementsAre(HasSubstr("data.mix and data.path both say what is trained on")));
}

}  // namespace
}  // namespace mayfly
