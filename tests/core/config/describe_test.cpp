// What people and editors are told must be what the loader does: the page in docs/ is not stale,
// the template and the examples load, the schema knows every key.
#include "core/config/describe.h"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/config/aliases.h"
#include "core/config/field_list.h"
#include "core/config/fleet_file.h"
#include "core/config/load.h"
#include "core/config/not_built.h"
#include "core/config/schema.h"
#include "tests/core/config/text_file.h"

namespace mayfly {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::filesystem::path kSource = MAYFLY_SOURCE_DIR;

TEST(DescribeTest, ThePageInDocsIsNotStale) {
  const std::filesystem::path path = kSource / "docs" / "config.md";
  if (std::getenv("MAYFLY_UPDATE_DOCS") != nullptr) {
    ASSERT_TRUE(write_file(path, config_page()));
  }
  const Result<std::string> page = read_file(path);
  ASSERT_TRUE(page);
  EXPECT_EQ(*page, config_page())
      << "write it anew: MAYFLY_UPDATE_DOCS=1 core_tests --gtest_filter=DescribeTest.*";
}

TEST(DescribeTest, HelpAndPageNameEveryField) {
  const std::string help = config_help();
  const std::string page = config_page();
  for (const FieldInfo& field : all_fields()) {
    EXPECT_THAT(help, HasSubstr(field.doc));
    EXPECT_THAT(page, HasSubstr("| `" + field.key + "` |"));
    if (!field.flag.empty()) {
      EXPECT_THAT(help, HasSubstr("; " + field.flag + "\n"));
      EXPECT_THAT(page, HasSubstr("| `" + field.flag + "` |"));
    }
  }
  EXPECT_THAT(page, HasSubstr("| `spend_limit` | amount, USD, from 0.001 | `150` | "
                              "`--spend-limit` |"));
  EXPECT_THAT(page, HasSubstr("| `base` | text | required |"));
}

TEST(DescribeTest, TheTemplateLoadsAsItIs) {
  const TextFile file("template.yaml", config_template());
  ConfigInputs inputs;
  inputs.files = {file.path()};
  const LoadedConfig loaded = load_config(inputs);
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_EQ(loaded.config.lora.alpha, 16.0);
}

TEST(DescribeTest, EveryExampleLoads) {
  int examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "configs")) {
    if (entry.path().extension() != ".yaml") continue;
    ConfigInputs inputs;
    inputs.files = {entry.path().string()};
    inputs.working_directory = kSource;
    inputs.fleet_apart = true;
    for (const Error& problem : read_fleet(inputs).problems) {
      ADD_FAILURE() << located_message(problem);
    }
    for (const Error& problem : load_config(inputs).problems) {
      ADD_FAILURE() << located_message(problem);
    }
    ++examples;
  }
  EXPECT_GE(examples, 2);
}

TEST(SchemaTest, KnowsEveryKeyAndNoOther) {
  const nlohmann::json schema = config_schema();
  for (const FieldInfo& field : all_fields()) {
    const nlohmann::json& home = field.section.empty()
                                     ? schema["properties"]
                                     : schema["properties"][field.section]["properties"];
    ASSERT_TRUE(home.contains(field.key)) << field.path;
    EXPECT_THAT(home[field.key]["description"].get<std::string>(), HasSubstr(field.doc));
    for (const std::string& alias : field.aliases) EXPECT_TRUE(home.contains(alias)) << alias;
  }
  EXPECT_EQ(schema["properties"]["train"]["additionalProperties"], false);
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_TRUE(schema["properties"]["experiment"]["properties"].contains("seeds"));
  EXPECT_TRUE(schema["properties"]["experiment"]["properties"].contains("animal"));
  EXPECT_TRUE(schema["properties"]["preprocess"]["properties"].contains("test_size"));
  EXPECT_TRUE(schema["properties"].contains("run_name"));
  // A key that is refused is no key of the schema.
  EXPECT_FALSE(schema["properties"].contains("sweep"));
}

TEST(SchemaTest, SaysTypesRangesAndDefaults) {
  const nlohmann::json train = config_schema()["properties"]["train"]["properties"];
  const auto value = [&](const char* key) { return train[key]["anyOf"][0]["anyOf"][0]; };
  EXPECT_EQ(value("epochs")["type"], "number");
  EXPECT_EQ(value("epochs")["maximum"], 10000.0);
  EXPECT_EQ(train["epochs"]["default"], 1.0);
  EXPECT_EQ(value("lr_scheduler")["enum"][1], "linear");
  // Every field may be null or a variable.
  EXPECT_EQ(train["epochs"]["anyOf"][1]["type"], "null");
  EXPECT_EQ(train["epochs"]["anyOf"][0]["anyOf"][1]["pattern"], "\\$\\{");
}

TEST(FieldListTest, GivesEachFlagOnce) {
  std::map<std::string, std::string> owners;
  for (const FieldInfo& field : all_fields()) {
    EXPECT_FALSE(field.doc.empty()) << field.path;
    EXPECT_TRUE(field.doc.ends_with(".")) << field.path;
    if (field.flag.empty()) continue;
    EXPECT_TRUE(field.flag.starts_with("--")) << field.path;
    EXPECT_TRUE(owners.emplace(field.flag, field.path).second)
        << field.flag << " is of " << owners[field.flag] << " and of " << field.path;
    EXPECT_FALSE(not_built_flag(field.flag)) << field.flag;
  }
  for (const EntryFlag& flag : entry_flags()) {
    EXPECT_TRUE(owners.emplace(flag.flag, flag.path).second) << flag.flag;
  }
}

TEST(FieldListTest, ToldApartByKind) {
  std::map<std::string, FieldInfo> fields;
  for (FieldInfo& field : all_fields()) fields.emplace(field.path, field);
  EXPECT_TRUE(fields.at("train.bf16").is_switch);
  EXPECT_TRUE(fields.at("train.bf16").is_optional);
  EXPECT_TRUE(fields.at("run.seeds").is_list);
  EXPECT_TRUE(fields.at("hub.token").is_secret);
  EXPECT_TRUE(fields.at("generate.vars").is_map);
  EXPECT_TRUE(fields.at("data.path").is_path);
  EXPECT_FALSE(fields.at("hub.repo").is_path);
  EXPECT_EQ(fields.at("limits.spend_limit").default_text, "150");
  EXPECT_EQ(fields.at("hub.status_every").default_text, "15m");
  EXPECT_EQ(fields.at("train.adam_eps").default_text, "1.0e-08");
}

// A key in both tables would be refused and accepted at once.
TEST(NotBuiltTest, HoldsNoKeyThatIsBuilt) {
  for (const FieldInfo& field : all_fields()) {
    // Unless only the default works.
    const ConfigNode standard = scalar_node(field.default_text, ConfigNode::Style::bare);
    EXPECT_TRUE(!not_built_key(field.path) || asks_for_nothing(field.path, standard)) << field.path;
    for (const std::string& alias : field.aliases) {
      EXPECT_FALSE(not_built_key(field.section + "." + alias)) << field.section << "." << alias;
      EXPECT_EQ(canonical_path(field.section + "." + alias), field.path);
    }
  }
}

// Every older name leads to a field, to an entry of one, or to something refused by name.
TEST(AliasesTest, LeadSomewhere) {
  std::map<std::string, FieldInfo> fields;
  for (FieldInfo& field : all_fields()) fields.emplace(field.path, field);
  for (const Alias& alias : aliases()) {
    const std::string target(alias.to.substr(0, alias.to.find(".*")));
    const bool is_section = alias.to.ends_with(".*") && target == "data";
    const bool is_entry = target.starts_with("generate.vars.");
    EXPECT_TRUE(fields.contains(target) || is_section || is_entry || not_built_key(target))
        << alias.from << " -> " << alias.to;
  }
}

}  // namespace
}  // namespace mayfly
