// What people type, and what they mistype: every example of the help must parse, the rule that
// finds the verb must hold wherever flags stand, and nothing that is not built may pass in silence.
#include "launcher/command_line.h"

#include <sstream>

#include <gtest/gtest.h>

#include "core/config/field_list.h"
#include "launcher/completion.h"
#include "launcher/verbs.h"

namespace mayfly {
namespace {

using Words = std::vector<std::string>;

CommandLine parsed(const Words& words) {
  Result<CommandLine> line = parse_launch(words);
  EXPECT_TRUE(line) << line.error().message;
  return line ? *line : CommandLine{};
}

// The words of an example line, without variables in front, redirection, or the remark behind.
Words words_of(const std::string& example) {
  std::string command = example.substr(example.find_first_not_of(' '));
  command = command.substr(0, command.find("   "));
  command = command.substr(0, command.find(" > "));
  std::istringstream stream(command);
  Words words;
  for (std::string word; stream >> word;) {
    if (words.empty() && word.find('=') != std::string::npos) continue;
    words.push_back(word);
  }
  return words;
}

TEST(CommandLineTest, ParsesEveryExampleOfTheHelp) {
  int examples = 0;
  std::vector<Verb> verbs(launch_verbs().begin(), launch_verbs().end());
  verbs.push_back(status_verb());
  for (const Verb& verb : verbs) {
    std::istringstream lines{std::string(verb.examples)};
    for (std::string example; std::getline(lines, example);) {
      Words words = words_of(example);
      ASSERT_FALSE(words.empty()) << verb.name;
      const std::string program = words.front();
      words.erase(words.begin());
      const auto line = program == "status" ? parse_status(words) : parse_launch(words);
      EXPECT_TRUE(line) << example << ": " << line.error().message;
      if (line) {
        EXPECT_EQ(line->verb, verb.name) << example;
      }
      ++examples;
    }
  }
  EXPECT_GT(examples, 20);
}

TEST(CommandLineTest, TakesNoVerbAsRun) {
  EXPECT_EQ(parsed({}).verb, "run");
  EXPECT_EQ(parsed({"--phase", "sft"}).verb, "run");
  EXPECT_EQ(parsed({"run", "--phase", "sft"}).verb, "run");
  const CommandLine line = parsed({"my-run.yaml"});
  EXPECT_EQ(line.verb, "run");
  EXPECT_EQ(line.common.config_files, Words{"my-run.yaml"});
}

// Flags of the scripts that are replaced. Without a run --destroy is for all, with one for it
// alone.
TEST(CommandLineTest, TakesWhatIsACommandHereAsAFlagToo) {
  const CommandLine all = parsed({"--destroy", "--yes"});
  EXPECT_EQ(all.verb, "down");
  EXPECT_TRUE(all.down.all);
  const CommandLine one = parsed({"--destroy", "my-run"});
  EXPECT_EQ(one.verb, "down");
  EXPECT_EQ(one.words, Words{"my-run"});
  EXPECT_FALSE(one.down.all);
  const CommandLine resumed = parsed({"--resume", "my-run", "--wait"});
  EXPECT_EQ(resumed.verb, "resume");
  EXPECT_EQ(resumed.words, Words{"my-run"});
  EXPECT_TRUE(resumed.run.wait);
}

TEST(CommandLineTest, FindsTheVerbBehindFlagsAndNotInTheirValues) {
  EXPECT_EQ(parsed({"-c", "a.yaml", "plan"}).verb, "plan");
  EXPECT_EQ(parsed({"--json", "plan"}).verb, "plan");
  EXPECT_EQ(parsed({"--epochs=2", "plan"}).verb, "plan");
  const CommandLine line = parsed({"--run-name", "plan"});
  EXPECT_EQ(line.verb, "run");
  ASSERT_EQ(line.common.settings.size(), 1U);
  EXPECT_EQ(line.common.settings[0].text, "plan");
}

TEST(CommandLineTest, KeepsTheOrderOfFlagsAndSet) {
  const CommandLine line =
      parsed({"--epochs", "2", "--set", "train.epochs=3", "--epochs", "4", "--animal", "cats"});
  ASSERT_EQ(line.common.settings.size(), 4U);
  EXPECT_EQ(line.common.settings[0].path, "train.epochs");
  EXPECT_EQ(line.common.settings[0].text, "2");
  EXPECT_EQ(line.common.settings[0].spelling, "--epochs");
  EXPECT_EQ(line.common.settings[1].path, "");
  EXPECT_EQ(line.common.settings[1].text, "train.epochs=3");
  EXPECT_EQ(line.common.settings[2].text, "4");
  EXPECT_EQ(line.common.settings[3].path, "generate.vars.animal");
}

TEST(CommandLineTest, HasEveryFlagThatAFieldNames) {
  int flags = 0;
  for (const FieldInfo& field : all_fields()) {
    if (field.flag.empty()) continue;
    ++flags;
    Words words = {field.flag};
    if (!field.is_switch) words.emplace_back("1");
    const CommandLine line = parsed(words);
    ASSERT_EQ(line.common.settings.size(), 1U) << field.flag;
    EXPECT_EQ(line.common.settings[0].path, field.path);
  }
  EXPECT_GT(flags, 30);
}

TEST(CommandLineTest, ReadsSwitchesInAllTheirForms) {
  const CommandLine line = parsed({"--bf16", "--no-bf16", "--bf16=false"});
  ASSERT_EQ(line.common.settings.size(), 3U);
  EXPECT_EQ(line.common.settings[0].text, "true");
  EXPECT_EQ(line.common.settings[1].text, "false");
  EXPECT_EQ(line.common.settings[2].text, "false");
}

TEST(CommandLineTest, RefusesByNameWhatIsNotBuilt) {
  for (const Words& words :
       {Words{"shell"}, Words{"exec"}, Words{"chat"}, Words{"--instance-id", "i"},
        Words{"--insecure"}, Words{"plan", "--steps", "all"}}) {
    const auto line = parse_launch(words);
    ASSERT_FALSE(line) << words[0];
    EXPECT_EQ(line.error().kind, ErrorKind::unsupported) << words[0];
    EXPECT_NE(line.error().message.find("not built yet"), std::string::npos) << words[0];
  }
}

TEST(CommandLineTest, ReadsHowFarARunIsExtended) {
  const CommandLine line = parsed({"extend", "one", "--hours", "0.5", "--usd", "2.50"});
  EXPECT_EQ(line.extend.hours, 0.5);
  EXPECT_EQ(line.extend.spend.micros, 2'500'000);
  for (const char* hours : {"0", "-1", "nan", "inf", "1h", "", "8761"}) {
    EXPECT_FALSE(parse_launch({"extend", "--hours", hours})) << hours;
  }
  for (const char* usd : {"0", "-1", "nan", "$5", "1e3"}) {
    EXPECT_FALSE(parse_launch({"extend", "--usd", usd})) << usd;
  }
}

TEST(CommandLineTest, GivesWhatStandsBehindTwoDashesToTheMachine) {
  const CommandLine line = parsed({"ssh", "one", "--", "ls", "--json", "--"});
  EXPECT_EQ(line.words, Words{"one"});
  EXPECT_EQ(line.remote_command, (Words{"ls", "--json", "--"}));
  EXPECT_FALSE(line.common.json);
  EXPECT_TRUE(parsed({"ssh", "--", "ls"}).words.empty());
}

TEST(CommandLineTest, NamesTheNearestFlagAndVerb) {
  const auto flag = parse_launch({"--spend-limi", "5"});
  ASSERT_FALSE(flag);
  EXPECT_EQ(flag.error().kind, ErrorKind::usage);
  EXPECT_EQ(flag.error().hint, "did you mean --spend-limit?");
  const auto verb = parse_launch({"pln"});
  ASSERT_FALSE(verb);
  EXPECT_EQ(verb.error().hint, "did you mean `launch plan`?");
  EXPECT_FALSE(parse_launch({"--epochs"}));
  EXPECT_FALSE(parse_launch({"--set", "x"}));
  EXPECT_FALSE(parse_launch({"--color", "blue"}));
  EXPECT_FALSE(parse_status({"--epochs", "2"}));
}

TEST(CommandLineTest, ReadsWatchWithAndWithoutItsSeconds) {
  using std::chrono::seconds;
  EXPECT_EQ(parse_status({"--watch"})->status.watch, seconds(60));
  EXPECT_EQ(parse_status({"--watch", "30"})->status.watch, seconds(30));
  EXPECT_EQ(parse_status({"--watch=5m"})->status.watch, seconds(300));
  EXPECT_EQ(parse_status({"my-run"})->status.watch, std::nullopt);
  EXPECT_FALSE(parse_status({"--watch", "0"}));
}

TEST(CommandLineTest, SmokeIsThreeSettings) {
  const CommandLine line = parsed({"--smoke"});
  ASSERT_EQ(line.common.settings.size(), 3U);
  EXPECT_EQ(line.common.settings[1].path, "train.max_steps");
}

TEST(CommandLineTest, HelpBeginsWithExamplesAndListsTheCommands) {
  const CommandLine line = parsed({"--help"});
  const std::size_t examples = line.show.find("Examples:");
  const std::size_t commands = line.show.find("Commands (");
  const std::size_t usage = line.show.find("Usage:");
  EXPECT_LT(examples, commands);
  EXPECT_LT(commands, usage);
  EXPECT_NE(line.show.find("--spend-limit"), std::string::npos);
  EXPECT_EQ(parsed({"help"}).show, line.show);
  EXPECT_EQ(parsed({"down", "-h"}).show.find("--spend-limit"), std::string::npos);
  EXPECT_EQ(parsed({"--version"}).show.rfind("mayfly ", 0), 0U);
}

TEST(CommandLineTest, CompletionNamesVerbsAndFlags) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = completion_script(shell);
    ASSERT_TRUE(script);
    EXPECT_NE(script->find("receipt"), std::string::npos) << shell;
    EXPECT_NE(script->find("spend-limit"), std::string::npos) << shell;
  }
  EXPECT_FALSE(completion_script("powershell"));
}

}  // namespace
}  // namespace mayfly
