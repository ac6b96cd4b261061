// What `launch config` answers on standard output, and with which exit code.
#include "launcher/config_command.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/config/config_json.h"
#include "core/json.h"
#include "tests/core/config/text_file.h"

namespace mayfly {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kRun = R"(model: {base: m}
data: {path: a.jsonl}
train: {epochs: 3}
hub: {repo: me/x, token: "${MY_TOKEN}"}
)";

class ConfigCommandTest : public testing::Test {
 protected:
  ConfigCommandTest() {
    command_.inputs.working_directory = folder_.path();
    command_.inputs.environment = {{"MY_TOKEN", "hf_secret"}};
  }

  std::string run(ExitCode wanted) {
    std::ostringstream out;
    EXPECT_EQ(config_command(command_, out), wanted);
    return out.str();
  }

  TestFolder folder_;
  ConfigCommand command_;
};

TEST_F(ConfigCommandTest, ShowsEveryValueWithItsOrigin) {
  const std::string file = folder_.write("run.yaml", kRun);
  command_.verb = "show";
  command_.origin = true;
  command_.inputs.files = {"run.yaml"};
  command_.inputs.command_line = {{"lora.r", "4", "--lora-r"}};
  const std::string out = run(ExitCode::ok);
  EXPECT_THAT(out, HasSubstr("  epochs: 3  # " + file + ":3:17\n"));
  EXPECT_THAT(out, HasSubstr("  r: 4  # --lora-r\n"));
  EXPECT_THAT(out, HasSubstr("  dropout: 0  # default\n"));
  EXPECT_THAT(out, HasSubstr("  token: ${MY_TOKEN}  # "));
  EXPECT_THAT(out, Not(HasSubstr("hf_secret")));
}

TEST_F(ConfigCommandTest, ShowsTheSameAsJson) {
  folder_.write("run.yaml", kRun);
  command_.verb = "show";
  command_.format = "json";
  command_.inputs.files = {"run.yaml"};
  const std::string out = run(ExitCode::ok);
  EXPECT_THAT(out, Not(HasSubstr("hf_secret")));
  const auto config = config_from_json(*parse_json(out, "answer"));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->train.epochs, 3.0);
}

TEST_F(ConfigCommandTest, ShowsDefaultsWithoutAnyFile) {
  command_.verb = "show";
  EXPECT_THAT(run(ExitCode::ok), HasSubstr("limits:\n  spend_limit: 150\n"));
}

TEST_F(ConfigCommandTest, ChecksAFileAndSaysNothingOnOutputWhenItIsWrong) {
  folder_.write("good.yaml", kRun);
  folder_.write("bad.yaml", "model: {base: m}\ndata: {path: a.jsonl}\ntrian: {}\n");
  command_.verb = "check";
  EXPECT_THAT(run(ExitCode::usage), IsEmpty());
  command_.words = {"good.yaml"};
  EXPECT_EQ(run(ExitCode::ok), "good.yaml: no problems\n");
  command_.words = {"bad.yaml"};
  testing::internal::CaptureStderr();
  EXPECT_THAT(run(ExitCode::usage), IsEmpty());
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("bad.yaml:3:1: unknown key trian"));
  command_.words = {"missing.yaml"};
  EXPECT_THAT(run(ExitCode::not_found), IsEmpty());
}

TEST_F(ConfigCommandTest, AChecksAnIncompleteFileAsWrong) {
  folder_.write("empty.yaml", "");
  command_.verb = "check";
  command_.words = {"empty.yaml"};
  testing::internal::CaptureStderr();
  run(ExitCode::usage);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("model.base is missing"));
}

TEST_F(ConfigCommandTest, ListsWhatThereIsByName) {
  folder_.write("configs/small.yaml", "# A small run.\nmodel: {base: m}\n");
  folder_.write("configs/notes.txt", "not one");
  command_.verb = "list";
  EXPECT_EQ(run(ExitCode::ok), "small  A small run.\n");
  command_.json = true;
  const auto answer = parse_json(run(ExitCode::ok), "answer");
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)[0]["name"], "small");
}

TEST_F(ConfigCommandTest, RefusesUnknownVerbsAndFormats) {
  command_.verb = "shwo";
  EXPECT_THAT(run(ExitCode::usage), IsEmpty());
  command_.verb = "convert";
  EXPECT_THAT(run(ExitCode::usage), IsEmpty());
  command_.verb = "show";
  command_.format = "toml";
  EXPECT_THAT(run(ExitCode::usage), IsEmpty());
  command_.verb = "schema";
  EXPECT_THAT(run(ExitCode::usage), IsEmpty());
}

TEST_F(ConfigCommandTest, PrintsASchemaAndATemplate) {
  command_.verb = "schema";
  const auto schema = parse_json(run(ExitCode::ok), "answer");
  ASSERT_TRUE(schema);
  EXPECT_EQ((*schema)["additionalProperties"], false);
  command_.verb = "init";
  EXPECT_THAT(run(ExitCode::ok), HasSubstr("\nmodel:\n  base: "));
}

}  // namespace
}  // namespace mayfly
