// The plan carries the config as JSON, and what is reviewed must be what runs: writing and reading
// it may lose nothing, and a secret may never be in it.
#include "core/config/config_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/config/resolved.h"
#include "core/json.h"
#include "tests/core/config/random_config.h"
#include "tests/core/config/text_file.h"

namespace mayfly {
namespace {

using testing::IsEmpty;

// A RunConfig has no ==; every field is in its JSON, so two are equal when those are.
std::string text(const RunConfig& config) {
  return json_line(config_to_json(config));
}

TEST(ConfigJsonTest, ReadsBackWhatItWrites) {
  RandomConfig random(11);
  for (int i = 0; i < 300; ++i) {
    const RunConfig config = random.next();
    const std::string written = text(config);
    const auto parsed = parse_json(written, "config");
    ASSERT_TRUE(parsed) << written;
    const auto read = config_from_json(*parsed);
    ASSERT_TRUE(read) << read.error().message << "\n" << written;
    ASSERT_EQ(text(*read), written);
    ASSERT_EQ(read->limits.spend_limit, config.limits.spend_limit);
    ASSERT_EQ(read->train.learning_rate, config.train.learning_rate);
    ASSERT_EQ(read->data.path, config.data.path);
    ASSERT_EQ(read->generate.vars, config.generate.vars);
  }
}

// The same through YAML: config.resolved.yaml is a file that can be run again.
TEST(ResolvedTest, LoadsBackAsTheSameConfig) {
  RandomConfig random(12);
  const TestFolder folder;
  for (int i = 0; i < 200; ++i) {
    LoadedConfig loaded;
    loaded.config = random.next();
    ConfigInputs inputs;
    inputs.files = {folder.write("resolved.yaml", resolved_yaml(loaded, i % 2 == 0))};
    const LoadedConfig again = load_config(inputs);
    // Random values break rules between fields; what may not happen is that one is misread.
    for (const Error& problem : again.problems) {
      const auto rules = problems(loaded.config);
      ASSERT_TRUE(std::any_of(rules.begin(), rules.end(),
                              [&](const ConfigProblem& rule) {
                                return problem.message.starts_with(rule.path + " " + rule.message);
                              }))
          << located_message(problem) << "\n"
          << resolved_yaml(loaded, false);
    }
    ASSERT_EQ(text(again.config), text(loaded.config));
  }
}

TEST(ResolvedTest, WritesSecretsAsVariables) {
  LoadedConfig loaded;
  loaded.config.hub.token = Secret("hf_secret");
  EXPECT_NE(resolved_yaml(loaded, false).find("  token: ${HF_TOKEN}\n"), std::string::npos);
  loaded.origins["hub.token"].variable = "MY_TOKEN";
  EXPECT_NE(resolved_yaml(loaded, false).find("  token: ${MY_TOKEN}\n"), std::string::npos);
  loaded.config.hub.token = Secret();
  EXPECT_NE(resolved_yaml(loaded, false).find("  token: null\n"), std::string::npos);
}

TEST(ConfigJsonTest, LeavesSecretsOut) {
  RunConfig config;
  config.hub.token = Secret("hf_secret");
  EXPECT_EQ(text(config).find("hf_secret"), std::string::npos);
  EXPECT_FALSE(config_to_json(config)["hub"].contains("token"));
  EXPECT_FALSE(config_from_json({{"hub", {{"token", "hf_x"}}}}));
}

TEST(ConfigJsonTest, KeepsDefaultsOfWhatIsNotThere) {
  const auto config = config_from_json({{"train", {{"epochs", 3}}}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->train.epochs, 3.0);
  EXPECT_EQ(config->lora.r, 8);
}

TEST(ConfigJsonTest, RefusesWhatIsNotOurs) {
  const auto message = [](const nlohmann::json& json) {
    const auto config = config_from_json(json);
    if (config) return std::string("accepted");
    EXPECT_EQ(config.error().kind, ErrorKind::corrupt);
    return config.error().message;
  };
  EXPECT_EQ(message(nlohmann::json::array()), "config: must be an object");
  EXPECT_EQ(message({{"train", {{"epocs", 3}}}}),
            "config.train.epocs: is no field of a configuration");
  EXPECT_EQ(message({{"extra", nlohmann::json::object()}}),
            "config.extra: is no field of a configuration");
  EXPECT_EQ(message({{"train", 3}}), "config.train: is no field of a configuration");
  EXPECT_EQ(message({{"lora", {{"r", 0}}}}), "config.lora.r: must be at least 1, not 0");
  EXPECT_EQ(message({{"lora", {{"r", 2.5}}}}),
            "config.lora.r: must be a whole number, not \"2.5\"");
  EXPECT_EQ(message({{"lora", {{"r", 18446744073709551615u}}}}),
            "config.lora.r: 18446744073709551615 is too large a number");
  EXPECT_EQ(message({{"phase", "rl"}}), "config.phase: \"rl\" is not one of sft");
}

}  // namespace
}  // namespace mayfly
