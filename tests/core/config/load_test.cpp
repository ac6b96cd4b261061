// A configuration that is read wrongly rents the wrong machine for the wrong time. Guarded here:
// which layer wins, what a key means, and that every mistake is named with its place.
#include "core/config/load.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/config/field_list.h"
#include "core/config/not_built.h"
#include "tests/core/config/text_file.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LoadTest : public testing::Test {
 protected:
  LoadTest() : folder_(temporary_.path()) {
    inputs_.working_directory = folder_;
    inputs_.environment["HOME"] = (folder_ / "home").string();
  }

  void write(const std::string& name, const std::string& text) {
    temporary_.write(name, text);
  }

  // Loads `text` as run.yaml, with model and data given where the text is not about them.
  LoadedConfig load(const std::string& text) {
    write("run.yaml", text);
    inputs_.files = {"run.yaml"};
    inputs_.must_be_complete = false;
    return load_config(inputs_);
  }

  // "3:5 message | hint" of each problem, without the file's name.
  std::vector<std::string> problems_of(const std::string& text) {
    std::vector<std::string> lines;
    for (const Error& problem : load(text).problems) {
      std::string line = problem.message;
      if (problem.at.line > 0) {
        line =
            std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) + " " + line;
      }
      if (!problem.hint.empty()) line += " | " + problem.hint;
      lines.push_back(line);
    }
    return lines;
  }

  static std::vector<std::string> messages(const LoadedConfig& loaded) {
    std::vector<std::string> texts;
    for (const Error& problem : loaded.problems) texts.push_back(located_message(problem));
    return texts;
  }

  void set(const std::string& text) {
    inputs_.command_line.push_back({"", text, "--set"});
  }

  TestFolder temporary_;
  std::filesystem::path folder_;
  ConfigInputs inputs_;
};

TEST_F(LoadTest, ReadsTheShortestUsefulFile) {
  write("run.yaml",
        "model: {base: Qwen/Qwen2.5-7B-Instruct}\ndata: {path: my.jsonl}\n"
        "hub: {repo: me/my-adapter}\n");
  inputs_.files = {"run.yaml"};
  const LoadedConfig loaded = load_config(inputs_);
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.model.base, "Qwen/Qwen2.5-7B-Instruct");
  EXPECT_THAT(loaded.config.data.path, ElementsAre("my.jsonl"));
  EXPECT_EQ(loaded.config.hub.repo, "me/my-adapter");
  EXPECT_EQ(origin_text(loaded.origins.at("hub.repo")), (folder_ / "run.yaml").string() + ":3:13");
}

TEST_F(LoadTest, LaysTheLayersOverEachOtherInOrder) {
  write(
      "home/.config/mayfly/config.yaml",
      "train: {epochs: 2, logging_steps: 2, eval_steps: 2, save_steps: 2, save_total_limit: 2}\n");
  write("first.yaml",
        "train: {logging_steps: 3, eval_steps: 3, save_steps: 3, save_total_limit: 3}");
  write("second.yaml", "train:\n  eval_steps: 4\n  save_steps: 4\n  save_total_limit: 4\n");
  inputs_.files = {"first.yaml", "second.yaml"};
  inputs_.must_be_complete = false;
  inputs_.environment["MAYFLY_TRAIN_SAVE_STEPS"] = "5";
  inputs_.environment["MAYFLY_TRAIN_SAVE_TOTAL_LIMIT"] = "5";
  inputs_.command_line = {{"train.save_total_limit", "6", "--x"},
                          {"", "train.save_total_limit=7", "--set"}};
  const LoadedConfig loaded = load_config(inputs_);
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.train.max_grad_norm, 1.0);
  EXPECT_EQ(loaded.config.train.epochs, 2.0);
  EXPECT_EQ(loaded.config.train.logging_steps, 3);
  EXPECT_EQ(loaded.config.train.eval_steps, 4);
  EXPECT_EQ(loaded.config.train.save_steps, 5);
  EXPECT_EQ(loaded.config.train.save_total_limit, 7);
  EXPECT_EQ(origin_text(loaded.origins.at("train.save_steps")), "MAYFLY_TRAIN_SAVE_STEPS");
  EXPECT_EQ(origin_text(loaded.origins.at("train.save_total_limit")), "--set");
  EXPECT_EQ(origin_text(Origin{}), "default");
}

TEST_F(LoadTest, NamesEveryMistakeWithItsPlace) {
  EXPECT_THAT(problems_of("model:\n  base: m\ntrain:\n  epocs: 3\n  learning_rate: fast\n"
                          "lora: {r: 0}\n"),
              ElementsAre("4:3 unknown key train.epocs | did you mean train.epochs?",
                          "5:18 train.learning_rate must be a number, not \"fast\"",
                          "6:11 lora.r must be at least 1, not 0"));
}

TEST_F(LoadTest, SuggestsWhatMayHaveBeenMeant) {
  EXPECT_THAT(problems_of("trian: {}\n"),
              ElementsAre("1:1 unknown key trian | did you mean train?"));
  EXPECT_THAT(problems_of("train: {seed: 3}\n"),
              ElementsAre("1:9 unknown key train.seed | did you mean data.seed?"));
  EXPECT_THAT(problems_of("epochs: 3\n"),
              ElementsAre("1:1 unknown key epochs | did you mean train.epochs?"));
  EXPECT_THAT(problems_of("experiment: {epoch: 3}\n"),
              ElementsAre("1:14 unknown key experiment.epoch | did you mean experiment.epochs?"));
  EXPECT_THAT(problems_of("train: {banana_split: 3}\n"),
              ElementsAre("1:9 unknown key train.banana_split | `launch config schema` lists all "
                          "keys"));
}

TEST_F(LoadTest, TellsSectionsFromValues) {
  EXPECT_THAT(problems_of("train: 3\n"),
              ElementsAre("1:8 train is a section: keys and values belong in it"));
  EXPECT_THAT(problems_of("train:\n"), IsEmpty());
  EXPECT_THAT(problems_of("train: {epochs: {a: 1}}\n"),
              ElementsAre("1:17 train.epochs must be a number, not a map"));
  EXPECT_THAT(problems_of("train.epochs: 3\n"),
              ElementsAre("1:1 unknown key train.epochs | keys with a dot are for --set; in a "
                          "file, write sections"));
  EXPECT_THAT(problems_of("- a\n"),
              ElementsAre("1:1 a configuration is a map of sections, such as model: and data:"));
  EXPECT_THAT(problems_of(""), IsEmpty());
}

TEST_F(LoadTest, ReportsWhatTheYamlReaderRefuses) {
  EXPECT_THAT(problems_of("train: {epochs: 1, epochs: 2}\n"),
              ElementsAre("1:20 the key \"epochs\" stands twice | keep one of the two"));
  EXPECT_EQ(problems_of("train: [\n").size(), 1u);
}

TEST_F(LoadTest, RefusesWhatIsNotBuiltByName) {
  EXPECT_THAT(problems_of("quant:\n  bits: 8\nphase: rl\nprovider: ssh\n"),
              ElementsAre("2:9 quant.bits 8 is not built yet", "3:8 phase rl is not built yet",
                          "4:11 provider ssh is not built yet"));
  EXPECT_THAT(problems_of("train: {fp16: true}\n"),
              ElementsAre("1:9 train.fp16 is not built yet: bf16 and float32 are | leave it out"));
  EXPECT_THAT(problems_of("provider: azure\n"),
              ElementsAre("1:11 provider \"azure\" is not one of auto, local, attached, shadeform, "
                          "lambda, lium, aws"));
}

TEST_F(LoadTest, AcceptsWhatAsksForWhatHappensAnyway) {
  EXPECT_THAT(problems_of("train: {fp16: false, gradient_checkpointing: false, optimizer: adamw}\n"
                          "data: {pack_sequences: false, filter_langs: [], format: messages}\n"
                          "quant: {bits: null}\nrl:\nhub: {layout: branches}\nlora: {bias: none}\n"
                          "net: {tls_verify: true}\n"),
              IsEmpty());
  EXPECT_THAT(problems_of("paths: {logs_dir: logs}\n"), IsEmpty());
  EXPECT_THAT(problems_of("paths: {logs_dir: /var/log}\n"),
              ElementsAre("1:9 paths.logs_dir is not built yet: a run's logs are in its run "
                          "directory | leave it out"));
  EXPECT_EQ(problems_of("hub: {layout: phases}\nnet: {tls_verify: false}\n").size(), 2u);
}

TEST_F(LoadTest, ReplacesVariablesAndNamesTheOnesMissing) {
  inputs_.environment["MODEL"] = "org/m";
  const LoadedConfig loaded = load(
      "model: {base: \"${MODEL}\"}\ndata: {path: ['${DIR:-in}/a.jsonl', '$${x}.jsonl']}\n"
      "train:\n  epochs: ${EPOCHS:-2}\n");
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.model.base, "org/m");
  EXPECT_THAT(loaded.config.data.path, ElementsAre("in/a.jsonl", "${x}.jsonl"));
  EXPECT_EQ(loaded.config.train.epochs, 2.0);
  EXPECT_THAT(
      problems_of("data:\n  path:\n    - a.jsonl\n    - ${NONE}/b.jsonl\n"),
      ElementsAre("4:7 data.path: the environment variable NONE is not set | set it, in the "
                  "environment or in .env, or write ${NONE:-default}"));
}

// An undefined variable in a value that does not count does not matter.
TEST_F(LoadTest, ExpandsOnlyWhatIsUsed) {
  set("model.base=m");
  EXPECT_THAT(messages(load("model: {base: \"${NONE}\"}\n")), IsEmpty());
}

TEST_F(LoadTest, FillsUnsetVariablesFromDotenv) {
  write(".env", "A=from file\nB=from file\nHF_TOKEN=hf_file\n");
  inputs_.environment["B"] = "from environment";
  const LoadedConfig loaded = load("model: {base: \"${A}\", revision: \"${B}\"}\n");
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.model.base, "from file");
  EXPECT_EQ(loaded.config.model.revision, "from environment");
  EXPECT_EQ(loaded.config.hub.token.reveal(), "hf_file");
  write(".env", "A=1\nhf_secret\n");
  const LoadedConfig broken = load("");
  ASSERT_EQ(broken.problems.size(), 1u);
  EXPECT_EQ(located_message(broken.problems[0]),
            (folder_ / ".env").string() + ":2:1: this line is not NAME=value");
}

TEST_F(LoadTest, TakesTokenAndEndpointFromTheirUsualNames) {
  inputs_.environment["HF_TOKEN"] = "hf_a";
  inputs_.environment["HF_ENDPOINT"] = "http://127.0.0.1:1";
  LoadedConfig loaded = load("");
  EXPECT_EQ(loaded.config.hub.token.reveal(), "hf_a");
  EXPECT_EQ(loaded.config.hub.endpoint, "http://127.0.0.1:1");
  EXPECT_EQ(origin_text(loaded.origins.at("hub.token")), "HF_TOKEN");
  loaded = load("hub: {token: \"${OTHER:-hf_b}\", endpoint: http://127.0.0.1:2}\n");
  EXPECT_EQ(loaded.config.hub.token.reveal(), "hf_b");
  EXPECT_EQ(loaded.origins.at("hub.token").variable, "OTHER");
  EXPECT_EQ(loaded.config.hub.endpoint, "http://127.0.0.1:2");
}

TEST_F(LoadTest, ReadsTheEnvironmentByTheNamesOfFields) {
  inputs_.environment["MAYFLY_LIMITS_SPEND_LIMIT"] = "2.5";
  inputs_.environment["MAYFLY_PHASE"] = "sft";
  inputs_.environment["MAYFLY_RUN_SEEDS"] = "1,2";
  inputs_.environment["MAYFLY_TRAIN_BATCH_SIZE"] = "4";
  inputs_.environment["MAYFLY_LORA_TARGET_MODULES"] = "[q_proj, v_proj]";
  inputs_.environment["MAYFLY_DATA_PATH"] = "${literal}.jsonl";
  inputs_.environment["MAYFLY_TRAIN_EPOCHS"] = "";
  // The programs' own, no fields:
  inputs_.environment["MAYFLY_STATE_DIR"] = "/elsewhere";
  inputs_.environment["MAYFLY_INSTANCE_ID"] = "i-1";
  inputs_.environment["MAYFLY_INSTANCE_DIR"] = "/elsewhere";
  const LoadedConfig loaded = load("");
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.limits.spend_limit.micros, 2'500'000);
  EXPECT_THAT(loaded.config.run.seeds, ElementsAre(1, 2));
  EXPECT_EQ(loaded.config.train.per_device_batch_size, 4);
  EXPECT_THAT(loaded.config.lora.target_modules, ElementsAre("q_proj", "v_proj"));
  EXPECT_THAT(loaded.config.data.path, ElementsAre("${literal}.jsonl"));
  EXPECT_EQ(loaded.config.train.epochs, 1.0);
}

TEST_F(LoadTest, NamesTheVariableThatIsWrong) {
  inputs_.environment["MAYFLY_TRAIN_EPOCS"] = "3";
  inputs_.environment["MAYFLY_TRAIN_LEARNING_RATE"] = "fast";
  EXPECT_THAT(problems_of(""),
              ElementsAre("MAYFLY_TRAIN_EPOCS: unknown key train.epocs | did you mean "
                          "train.epochs?",
                          "MAYFLY_TRAIN_LEARNING_RATE: train.learning_rate must be a number, not "
                          "\"fast\""));
}

TEST_F(LoadTest, ReadsFlagsAndSets) {
  inputs_.command_line = {{"train.epochs", "2", "--epochs"},
                          {"generate.vars.animal", "cats", "--animal"},
                          {"", "lora.target_modules=[q_proj]", "--set"},
                          {"", "experiment.learning_rate=0.5", "--set"},
                          {"", "hub.repo=", "--set"},
                          {"", "train.epochs=3", "--set"}};
  const LoadedConfig loaded = load("hub: {repo: me/x}\n");
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.train.epochs, 3.0);
  EXPECT_EQ(loaded.config.train.learning_rate, 0.5);
  EXPECT_EQ(loaded.config.generate.vars.at("animal"), "cats");
  EXPECT_THAT(loaded.config.lora.target_modules, ElementsAre("q_proj"));
  EXPECT_EQ(loaded.config.hub.repo, std::nullopt);
}

TEST_F(LoadTest, NamesTheFlagThatIsWrong) {
  inputs_.command_line = {{"train.epochs", "many", "--epochs"},
                          {"phase", "all", "--phase"},
                          {"", "train.epochs", "--set"},
                          {"", "=3", "--set"},
                          {"", "lora.q=3", "--set"},
                          {"", "lora.target_modules=[a", "--set"}};
  const LoadedConfig loaded = load("");
  std::vector<std::string> messages;
  for (const Error& problem : loaded.problems) {
    EXPECT_EQ(problem.kind, ErrorKind::usage) << problem.message;
    messages.push_back(located_message(problem));
  }
  EXPECT_THAT(messages, ElementsAre("--set: \"train.epochs\" is not key=value",
                                    "--set: \"=3\" is not key=value", "--set: unknown key lora.q",
                                    HasSubstr("--set: lora.target_modules: "),
                                    "--phase: phase all is not built yet",
                                    "--epochs: train.epochs must be a number, not \"many\""));
}

TEST_F(LoadTest, NullSetsAFieldBackToItsDefault) {
  write("base.yaml", "train: {epochs: 7, max_steps: 9}\ngenerate: {vars: {a: x, b: y}}\n");
  write("mine.yaml", "train: {epochs: null, max_steps: ~}\ngenerate: {vars: {a: null, c: z}}\n");
  inputs_.files = {"base.yaml", "mine.yaml"};
  inputs_.must_be_complete = false;
  LoadedConfig loaded = load_config(inputs_);
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_EQ(loaded.config.train.epochs, 1.0);
  EXPECT_EQ(loaded.config.train.max_steps, std::nullopt);
  EXPECT_EQ(loaded.config.generate.vars,
            (std::map<std::string, std::string>{{"b", "y"}, {"c", "z"}}));
  set("generate.vars=null");
  loaded = load_config(inputs_);
  EXPECT_THAT(loaded.config.generate.vars, IsEmpty());
}

TEST_F(LoadTest, ListsAreReplacedAndNotJoined) {
  write("base.yaml", "run: {seeds: [1, 2, 3]}\n");
  write("mine.yaml", "run: {seeds: [4]}\n");
  inputs_.files = {"base.yaml", "mine.yaml"};
  inputs_.must_be_complete = false;
  EXPECT_THAT(load_config(inputs_).config.run.seeds, ElementsAre(4));
}

TEST_F(LoadTest, TwoNamesOfOneSettingMustAgree) {
  EXPECT_THAT(problems_of("preprocess: {cutoff_len: 512}\ntrain: {cutoff_len: 512}\n"), IsEmpty());
  EXPECT_THAT(problems_of("preprocess: {cutoff_len: 512}\ntrain: {cutoff_len: 256}\n"),
              ElementsAre("2:9 train.cutoff_len is the same setting as preprocess.cutoff_len in "
                          "line 1, with another value | keep one of the two"));
  EXPECT_THAT(problems_of("train:\n  batch_size: 2\n  per_device_batch_size: 3\n"),
              ElementsAre("3:3 train.per_device_batch_size is the same setting as train.batch_size "
                          "in line 2, with another value | keep one of the two"));
}

TEST_F(LoadTest, FillsNamesIntoPathsAndRepositories) {
  inputs_.environment["ANIMAL"] = "owls";
  const LoadedConfig loaded = load(
      "generate: {vars: {animal: \"${ANIMAL}\"}}\n"
      "data: {path: \"out/{animal}.jsonl\", val_path: \"{animal}.val\"}\n"
      "hub: {repo_prefix: \"me/{animal}\"}\nrun: {name: \"{animal}-1\"}\n");
  EXPECT_THAT(messages(loaded), IsEmpty());
  EXPECT_THAT(loaded.config.data.path, ElementsAre("out/owls.jsonl"));
  EXPECT_EQ(loaded.config.data.val_path, "owls.val");
  EXPECT_EQ(loaded.config.hub.repo_prefix, "me/owls");
  EXPECT_EQ(loaded.config.run.name, "owls-1");
  EXPECT_THAT(problems_of("data: {path: \"{plant}.jsonl\"}\n"),
              ElementsAre("1:14 data.path: {plant} has no value | set generate.vars.plant"));
}

TEST_F(LoadTest, OpensTheHomeFolderInPathsOnly) {
  const LoadedConfig loaded = load(
      "data: {path: ['~/a.jsonl', ~b]}\nmodel: {base: ~/m, revision: ~/r}\n"
      "generate: {vars: {x: ~/y}}\n");
  EXPECT_THAT(loaded.config.data.path, ElementsAre((folder_ / "home/a.jsonl").string(), "~b"));
  EXPECT_EQ(loaded.config.model.base, (folder_ / "home/m").string());
  EXPECT_EQ(loaded.config.model.revision, "~/r");
  EXPECT_EQ(loaded.config.generate.vars.at("x"), "~/y");
}

TEST_F(LoadTest, PlacesBrokenRulesAtTheirFields) {
  const std::string file = (folder_ / "run.yaml").string();
  EXPECT_THAT(problems_of("train:\n  per_device_batch_size: 6\n  gradient_accumulation: 9\n"
                          "  effective_batch_size: 60\n  warmup_steps: 5\n  warmup_ratio: 0.1\n"),
              ElementsAre("4:25 train.effective_batch_size 60 is not per_device_batch_size 6 x "
                          "gradient_accumulation 9 = 54 (train.effective_batch_size from " +
                              file + ":4:25, train.per_device_batch_size from " + file +
                              ":2:26, train.gradient_accumulation from " + file +
                              ":3:26) | give two of the three; null unsets one",
                          "6:17 train.warmup_ratio and train.warmup_steps are both given "
                          "(train.warmup_steps from " +
                              file + ":5:17, train.warmup_ratio from " + file +
                              ":6:17) | give one of the two; null unsets one"));
}

// A value that could not be read is at its default; what follows from that would only confuse.
TEST_F(LoadTest, SaysNothingThatFollowsFromAnotherMistake) {
  write("run.yaml", "modle: {base: m}\ndata: {path: a.jsonl}\n");
  inputs_.files = {"run.yaml"};
  LoadedConfig loaded = load_config(inputs_);
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].message, "unknown key modle");
  write("run.yaml", "model: {base: [m]}\ndata: {path: a.jsonl}\n");
  loaded = load_config(inputs_);
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].message, "model.base must be a text, not a list");
}

TEST_F(LoadTest, AsksForWhatEveryRunNeeds) {
  const LoadedConfig loaded = load_config(inputs_);
  ASSERT_EQ(loaded.problems.size(), 2u);
  EXPECT_THAT(loaded.problems[0].message, HasSubstr("model.base is missing"));
  EXPECT_THAT(loaded.problems[1].message, HasSubstr("data.path is missing"));
}

TEST_F(LoadTest, FindsFilesByPathAndByName) {
  write("configs/small.yaml", "train: {epochs: 4}\n");
  write("home/.config/mayfly/configs/other.yaml", "train: {epochs: 5}\n");
  write("home/.config/mayfly/configs/small.yaml", "train: {epochs: 6}\n");
  inputs_.must_be_complete = false;
  const auto epochs = [&](const std::string& name) {
    inputs_.files = {name};
    return load_config(inputs_).config.train.epochs;
  };
  EXPECT_EQ(epochs("small"), 4.0);
  EXPECT_EQ(epochs("other"), 5.0);
  EXPECT_EQ(epochs("configs/small.yaml"), 4.0);
  EXPECT_EQ(epochs((folder_ / "configs/small.yaml").string()), 4.0);
  inputs_.files = {"smal"};
  const LoadedConfig loaded = load_config(inputs_);
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].kind, ErrorKind::not_found);
  EXPECT_EQ(loaded.problems[0].hint, "did you mean small?");
}

TEST_F(LoadTest, WithoutAHomeFolderNoProfileIsRead) {
  inputs_.environment.erase("HOME");
  write("config.yaml", "train: {epochs: 9}\n");
  EXPECT_EQ(load("").config.train.epochs, 1.0);
  inputs_.environment["XDG_CONFIG_HOME"] = (folder_ / "xdg").string();
  write("xdg/mayfly/config.yaml", "train: {epochs: 8}\n");
  EXPECT_EQ(load("").config.train.epochs, 8.0);
}

// Files with bytes changed, removed, doubled and cut off: each is read or refused, with a place in
// the file, in no time; and what is accepted can be written and read again.
TEST_F(LoadTest, ReadsOrRefusesEveryDamagedFile) {
  std::ifstream stream(MAYFLY_SOURCE_DIR "/tests/data/config/docker_guide.yaml");
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  ASSERT_GT(whole.size(), 1'000u);
  const std::string bytes = "\n\t :-#[]{},&*!|>'\"%@`?~$\\0aZ\x00\xFF\xC3";
  std::mt19937 random(3);
  int accepted = 0;
  for (int i = 0; i < 300; ++i) {
    std::string text = whole.substr(0, random() % 8 == 0 ? random() % whole.size() : whole.size());
    for (auto edits = 1 + random() % 4; edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random() % text.size();
      const auto kind = random() % 3;
      if (kind == 0) text[at] = bytes[random() % bytes.size()];
      if (kind == 1) text.erase(at, 1 + random() % 20);
      if (kind == 2) text.insert(at, text.substr(at / 2, random() % 40));
    }
    const LoadedConfig loaded = load(text);
    for (const Error& problem : loaded.problems) {
      ASSERT_FALSE(problem.message.empty()) << text;
      ASSERT_FALSE(problem.at.file.empty()) << problem.message << "\n" << text;
    }
    accepted += loaded.problems.empty() ? 1 : 0;
  }
  // The whole file has keys that are not built; only what is cut off before them is accepted.
  EXPECT_LT(accepted, 60);
}

// A file that names a token shows it nowhere, whatever is wrong with it.
TEST_F(LoadTest, NeverShowsASecret) {
  inputs_.environment["HF_TOKEN"] = "hf_secret";
  for (const char* text :
       {"hub: {token: hf_secret, token: hf_secret2}\n", "hub: {token: [hf_secret]}\n",
        "hub: {token: {hf_secret: 1}}\n", "hub: {token: \"hf_secret${NONE}\"}\n"}) {
    const LoadedConfig loaded = load(text);
    EXPECT_FALSE(loaded.problems.empty()) << text;
    for (const Error& problem : loaded.problems) {
      EXPECT_EQ(located_message(problem).find("hf_secret"), std::string::npos) << problem.message;
    }
    for (const auto& [path, origin] : loaded.origins) {
      EXPECT_EQ(origin_text(origin).find("hf_secret"), std::string::npos) << path;
    }
  }
}

constexpr const char* kData = MAYFLY_SOURCE_DIR "/tests/data/config/";

// Rows L-10 to L-21, L-23 and L-24; what is not built is named, and nothing else is said.
TEST_F(LoadTest, LoadsTheLambdaGuidesFile) {
  inputs_.files = {std::string(kData) + "lambda_guide.yaml"};
  inputs_.must_be_complete = false;
  const LoadedConfig loaded = load_config(inputs_);
  const RunConfig& config = loaded.config;
  EXPECT_EQ(config.generate.vars.at("animal"), "dogs");
  EXPECT_EQ(config.model.base, "Qwen/Qwen2.5-7B-Instruct");
  EXPECT_EQ(config.generate.count, 10000);
  EXPECT_EQ(config.train.epochs, 10.0);
  EXPECT_THAT(config.run.seeds, ElementsAre(42));
  EXPECT_EQ(batch_sizes(config.train).accumulation, 10);
  EXPECT_EQ(config.train.learning_rate, 0.0002);
  EXPECT_EQ(config.train.warmup_steps, 5);
  EXPECT_EQ(config.data.cutoff_len, 256);
  EXPECT_EQ(config.data.max_train_samples, std::nullopt);
  EXPECT_EQ(config.train.logging_steps, 50);
  EXPECT_EQ(config.train.save_total_limit, 2);
  EXPECT_EQ(config.hub.checkpoint_every_epochs, 2);
  EXPECT_EQ(config.hub.repo_prefix, "eac123/dogs-student-sft");
  EXPECT_FALSE(config.hub.private_repo);
  EXPECT_EQ(config.lora.r, 8);
  EXPECT_THAT(origin_text(loaded.origins.at("train.epochs")),
              HasSubstr(":14:11 as experiment.epochs"));
  std::vector<std::string> names;
  for (const Error& problem : loaded.problems) {
    names.push_back(std::to_string(problem.at.line) + " " +
                    problem.message.substr(0, problem.message.find(" is not built yet")));
  }
  EXPECT_THAT(names, ElementsAre("8 lambda.api_key (providers.lambda.api_key)",
                                 "25 experiment.repo_url (code.git_url)",
                                 "26 experiment.remote_dir (code.remote_dir)",
                                 "35 wandb.project (tracking.wandb.project)",
                                 "36 wandb.tags (tracking.wandb.tags)",
                                 "37 wandb.group (tracking.wandb.group)"));
}

// Rows D-09, D-12, D-13 and D-21, the same way.
TEST_F(LoadTest, LoadsTheDockerGuidesFile) {
  inputs_.files = {std::string(kData) + "docker_guide.yaml"};
  inputs_.must_be_complete = false;
  const LoadedConfig loaded = load_config(inputs_);
  const RunConfig& config = loaded.config;
  EXPECT_EQ(config.paths.outputs_dir, "outputs");
  EXPECT_EQ(config.data.sample_size, 1000000);
  EXPECT_TRUE(config.data.save_splits);
  EXPECT_EQ(config.data.test_size, 0.05);
  EXPECT_EQ(config.data.cutoff_len, 512);
  EXPECT_EQ(config.data.seed, 7);
  EXPECT_EQ(config.model.base, "Qwen/Qwen2-7B");
  EXPECT_EQ(batch_sizes(config.train).effective, 16);
  EXPECT_EQ(config.train.epochs, 3.0);
  EXPECT_EQ(config.train.learning_rate, 2e-4);
  EXPECT_EQ(config.train.min_learning_rate, 1e-5);
  EXPECT_EQ(config.train.weight_decay, 0.01);
  EXPECT_EQ(config.train.warmup_ratio, 0.03);
  EXPECT_EQ(config.train.lr_scheduler, LrScheduler::cosine);
  EXPECT_EQ(config.lora.r, 16);
  EXPECT_EQ(config.lora.alpha, 32.0);
  EXPECT_EQ(config.lora.dropout, 0.05);
  EXPECT_EQ(config.lora.target_modules.size(), 4u);
  EXPECT_EQ(config.train.bf16, true);
  EXPECT_EQ(config.train.gradient_checkpointing, Checkpointing::blocks);
  EXPECT_EQ(config.train.eval_steps, 100);
  EXPECT_EQ(config.train.max_steps, std::nullopt);
  EXPECT_EQ(config.train.resume_from, "latest");
  EXPECT_EQ(config.logging.tqdm_refresh_rate, 1.0);
  std::vector<std::string> names;
  for (const Error& problem : loaded.problems) {
    names.push_back(std::to_string(problem.at.line) + " " +
                    problem.message.substr(0, problem.message.find(" is not built yet")));
  }
  EXPECT_THAT(names, ElementsAre("13 preprocess.dataset_name (data.dataset_name)",
                                 "15 preprocess.filter_langs (data.filter_langs)",
                                 "20 preprocess.max_workers (data.max_workers)",
                                 "47 export.include_adapter_weights", "50 serve.host"));
}

// Row D-14: every flag of the guide's training command either sets its field or is refused by name.
TEST(FlagsTest, KnowEverySpellingOfTheGuides) {
  std::set<std::string> flags;
  for (const FieldInfo& field : all_fields()) flags.insert(field.flag);
  for (const EntryFlag& flag : entry_flags()) flags.emplace(flag.flag);
  for (const char* flag : {"--base-model",
                           "--cutoff-len",
                           "--batch-size",
                           "--gradient-accumulation",
                           "--epochs",
                           "--learning-rate",
                           "--min-learning-rate",
                           "--weight-decay",
                           "--warmup-ratio",
                           "--lr-scheduler",
                           "--lora-r",
                           "--lora-alpha",
                           "--lora-dropout",
                           "--lora-targets",
                           "--gradient-checkpointing",
                           "--bf16",
                           "--logging-steps",
                           "--eval-steps",
                           "--resume-from",
                           "--sample-size",
                           "--test-size",
                           "--seed",
                           "--animal",
                           "--seeds",
                           "--data-count",
                           "--run-name",
                           "--spend-limit",
                           "--phase"}) {
    EXPECT_TRUE(flags.contains(flag)) << flag;
  }
  for (const char* flag :
       {"--fp16", "--dataset-name", "--filter-langs", "--max-workers", "--instance-id"}) {
    EXPECT_FALSE(flags.contains(flag)) << flag;
    EXPECT_TRUE(not_built_flag(flag)) << flag;
  }
}

}  // namespace
}  // namespace mayfly
