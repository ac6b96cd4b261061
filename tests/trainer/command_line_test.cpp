// What could go wrong: a mistyped flag that is ignored and a day of training with the default, a
// verb that the documentation names and that silently does something else.
#include "trainer/command_line.h"

#include <gtest/gtest.h>

#include "core/config/field_list.h"

namespace mayfly {
namespace {

Error refused(const std::vector<std::string>& arguments) {
  const Result<TrainCommandLine> line = parse_train(arguments);
  EXPECT_FALSE(line);
  return line ? Error{ErrorKind::internal, "accepted"} : line.error();
}

TEST(TrainCommandLineTest, SftIsTheDefault) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"-c", "run.yaml"}, {"sft", "-c", "run.yaml"}, {"run.yaml"}}) {
    const auto line = parse_train(arguments);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->verb, "sft");
    EXPECT_EQ(line->config_files, std::vector<std::string>{"run.yaml"});
  }
}

TEST(TrainCommandLineTest, HasAFlagForEveryFieldThatNamesOne) {
  for (const FieldInfo& field : all_fields()) {
    if (field.flag.empty()) continue;
    const auto line = parse_train({"sft", field.flag + "=7"});
    ASSERT_TRUE(line) << field.flag;
    ASSERT_EQ(line->settings.size(), 1U);
    EXPECT_EQ(line->settings[0].path, field.path);
    EXPECT_EQ(line->settings[0].text, "7");
    EXPECT_EQ(line->settings[0].spelling, field.flag);
  }
}

TEST(TrainCommandLineTest, KeepsTheOrderAndReadsSwitchesAlone) {
  const auto line =
      parse_train({"sft", "--epochs", "1", "--set", "train.epochs=2", "--bf16", "--epochs", "3"});
  ASSERT_TRUE(line) << line.error().message;
  ASSERT_EQ(line->settings.size(), 4U);
  EXPECT_EQ(line->settings[0].text, "1");
  EXPECT_EQ(line->settings[1].text, "train.epochs=2");
  EXPECT_EQ(line->settings[2].text, "true");
  EXPECT_EQ(line->settings[3].text, "3");
}

TEST(TrainCommandLineTest, ImportTakesACheckpointOfNanochat) {
  const auto line = parse_train({"import", "--nanochat", "d20", "--out", "model", "--step", "650",
                                 "--tokenizer", "tok", "--dtype", "bf16"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->verb, "import");
  EXPECT_EQ(line->imported.checkpoint_dir, "d20");
  EXPECT_EQ(line->imported.tokenizer_dir, "tok");
  EXPECT_EQ(line->imported.step, 650);
  EXPECT_EQ(line->exported.out, "model");
  EXPECT_EQ(line->exported.type, TensorType::bf16);
  EXPECT_EQ(refused({"import", "--out", "model"}).kind, ErrorKind::usage);
  EXPECT_EQ(refused({"import", "d20", "--nanochat", "d20", "--out", "model"}).kind,
            ErrorKind::usage);
}

TEST(TrainCommandLineTest, RefusesByNameWhatIsNotBuilt) {
  for (const char* verb : {"preprocess", "mid", "rl", "serve", "smoke-test", "bench"}) {
    const Error error = refused({verb, "--whatever"});
    EXPECT_EQ(error.kind, ErrorKind::unsupported);
    EXPECT_NE(error.message.find(verb), std::string::npos);
  }
  EXPECT_EQ(refused({"sft", "--debug"}).kind, ErrorKind::unsupported);
  EXPECT_EQ(refused({"sft", "--fp16", "true"}).kind, ErrorKind::unsupported);
}

TEST(TrainCommandLineTest, NamesTheNearest) {
  EXPECT_EQ(refused({"evla"}).hint, "did you mean `train eval`?");
  EXPECT_EQ(refused({"sft", "--epohs", "3"}).hint, "did you mean --epochs?");
  EXPECT_EQ(refused({"sft", "stray"}).kind, ErrorKind::usage);
  EXPECT_EQ(refused({"eval", "--model", "m"}).kind, ErrorKind::usage);  // no --data
}

TEST(TrainCommandLineTest, ReadsEvalAndGenerate) {
  const auto eval = parse_train({"eval", "--model", "m", "--adapter", "a", "--data", "x", "--data",
                                 "y", "--cutoff-len", "99", "--device", "cpu", "--json"});
  ASSERT_TRUE(eval) << eval.error().message;
  EXPECT_EQ(eval->model.model_dir, "m");
  EXPECT_EQ(eval->model.adapter_dir, "a");
  EXPECT_EQ(eval->model.device, Device::cpu);
  EXPECT_EQ(eval->evaluate.data, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(eval->evaluate.cutoff_len, 99);
  EXPECT_TRUE(eval->json);
  const auto generate =
      parse_train({"generate", "--model", "m", "--prompt", "Hello", "--max-new-tokens", "5",
                   "--temperature", "0.7", "--top-p", "0.9", "--seed", "3", "--bf16", "false"});
  ASSERT_TRUE(generate) << generate.error().message;
  EXPECT_EQ(generate->generate.prompt, "Hello");
  EXPECT_EQ(generate->generate.max_new_tokens, 5);
  EXPECT_EQ(generate->generate.temperature, 0.7);
  EXPECT_EQ(generate->generate.top_p, 0.9);
  EXPECT_EQ(generate->generate.seed, 3);
  EXPECT_EQ(generate->model.bf16, false);
  EXPECT_FALSE(parse_train({"generate", "--model", "m", "--prompt", "x", "--top-p", "0"}));
}

TEST(TrainCommandLineTest, ShowsHelpAndVersion) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"help"},
                                                    {"sft", "--help"},
                                                    {"eval", "-h"},
                                                    {"--version"},
                                                    {"eval", "--version"}}) {
    const auto line = parse_train(arguments);
    ASSERT_TRUE(line);
    EXPECT_FALSE(line->show.empty());
  }
  EXPECT_NE(parse_train({"sft", "--help"})->show.find("--learning-rate"), std::string::npos);
}

}  // namespace
}  // namespace mayfly
