// The hub checks the card's YAML and refuses the whole commit when it is bad, and a name that
// breaks out of its quotes would be anything at all. So: what the block may hold, and that names
// stay names.
#include "trainer/model_card.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

RunPlan plan(const std::string& base) {
  RunPlan made;
  made.run_name = "dogs-run1";
  made.config.model.base = base;
  made.hub_repo = "local/dogs-run1";
  made.config.data.path = {"/secret/place/train.jsonl"};
  return made;
}

TrainingState state() {
  TrainingState made;
  made.step = 4;
  made.total_steps = 6;
  made.steps_per_epoch = 2;
  made.evaluations = {{0, 1.75, 8, 99}, {4, 1.25, 8, 99}};
  made.epochs = {{1, 2, 1.5, std::nullopt}, {2, 4, 1.125, 1.25}};
  return made;
}

const ModelCardFacts kFacts{.data = {{.name = "train.jsonl", .sha256 = std::string(64, 'a')}},
                            .examples = 128,
                            .tokens_trained_on = 999,
                            .adapter = {.base = "", .rank = 8, .alpha = 16, .targets = {"q_proj"}},
                            .device = "cpu",
                            .type = "float32",
                            .version = "0.1.0",
                            .torch_version = "2.11.0"};

std::string front_matter(const std::string& card) {
  EXPECT_EQ(card.rfind("---\n", 0), 0U);
  return card.substr(0, card.find("\n---\n", 4) + 5);
}

TEST(ModelCardTest, NamesAHubModelInTheBlock) {
  const std::string card = model_card(plan("org/Base-1"), state(), kFacts);
  EXPECT_EQ(front_matter(card),
            "---\n"
            "base_model: \"org/Base-1\"\n"
            "base_model_relation: adapter\n"
            "library_name: peft\n"
            "pipeline_tag: text-generation\n"
            "tags:\n"
            "- \"base_model:adapter:org/Base-1\"\n"
            "- lora\n"
            "- sft\n"
            "- mayfly\n"
            "---\n");
}

TEST(ModelCardTest, LeavesALocalFolderOutOfTheBlock) {
  const std::string card = model_card(plan("/models/of/mine/smollm2/"), state(), kFacts);
  EXPECT_EQ(front_matter(card).find("base_model"), std::string::npos);
  EXPECT_NE(card.find("Base model: `smollm2`"), std::string::npos);
  EXPECT_EQ(card.find("/models/of"), std::string::npos);
  EXPECT_EQ(card.find("/secret/place"), std::string::npos);
}

TEST(ModelCardTest, TellsResultsByEpochWithTheirBranches) {
  const std::string card = model_card(plan("org/b"), state(), kFacts);
  EXPECT_NE(card.find("Held-out loss (8 examples, 99 tokens): 1.7500 before training, 1.2500 after "
                      "step 4."),
            std::string::npos);
  EXPECT_NE(card.find("| 1 | 2 | 1.5000 | - | `checkpoint-epoch-1` |\n"
                      "| 2 | 4 | 1.1250 | 1.2500 | `checkpoint-epoch-2` |\n"),
            std::string::npos);
  EXPECT_NE(card.find("| `train.jsonl` | `" + std::string(64, 'a') + "` |"), std::string::npos);
  EXPECT_NE(card.find("PeftModel.from_pretrained(base, \"local/dogs-run1\", "
                      "revision=\"checkpoint-epoch-1\")"),
            std::string::npos);
}

TEST(ModelCardTest, NamesOnlyBranchesThatThereAre) {
  RunPlan made = plan("org/b");
  made.config.hub.checkpoint_every_epochs = 2;
  const std::string card = model_card(made, state(), kFacts);
  EXPECT_NE(card.find("| 1 | 2 | 1.5000 | - | - |\n"), std::string::npos);
  EXPECT_NE(card.find("| 1.2500 | `checkpoint-epoch-2` |\n"), std::string::npos);
}

TEST(ModelCardTest, AHostileNameStaysAName) {
  ModelCardFacts facts = kFacts;
  facts.data[0].name = "a|b`\n---\nlicense: evil";
  const std::string card = model_card(plan("org/b"), state(), facts);
  EXPECT_EQ(card.find("\nlicense"), std::string::npos);
  EXPECT_NE(card.find("`a b  --- license: evil`"), std::string::npos);
}

TEST(ModelCardTest, KnowsAHubIdFromAPath) {
  EXPECT_TRUE(is_hub_id("HuggingFaceTB/SmolLM2-135M-Instruct"));
  for (const char* path :
       {"/abs/path", "./here/there", "name", "a/b/c", "a/", "/a", "a b/c", "", "a/\"b\"", "../x"}) {
    EXPECT_FALSE(is_hub_id(path)) << path;
  }
}

}  // namespace
}  // namespace mayfly
