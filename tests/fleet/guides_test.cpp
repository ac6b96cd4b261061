// The example commands of the five guides, in the words of this program: each does what it says,
// dry or on this machine and in front of fake clouds, or is refused by name with exit code 2.
// Nothing in them may be taken and left out in silence.
//
// Not here: `train rl` and `train sft` of the guides for pods and Docker, which are the trainer's,
// and what needs a terminal for ever (`status --watch 30` is parsed in command_line_test).
#include <gmock/gmock.h>

#include "tests/clouds/rig.h"
#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct GuideCommand {
  std::string words;  // "status ..." or those behind `launch`
  int code = 0;
  std::string says = "";  // somewhere in its output or errors
};

class GuidesTest : public LaunchTest {
 protected:
  GuidesTest() {
    make_tiny_data(root / "data.jsonl", 400);
    fs::create_directory_symlink(MAYFLY_SOURCE_DIR "/configs", root / "configs");
    fs::create_directory(root / "data");
    for (const char* name : {"gsm8k", "math", "mbpp"}) {
      make_tiny_data(root / "data" / (std::string(name) + ".jsonl"), 400);
    }
    std::ofstream(root / "my-run.yaml")
        << "model: {base: model}\ndata: {path: data.jsonl}\nrun: {name: my-run}\n"
           "generate: {vars: {animal: dogs}}\ntrain: {epochs: 2}\n";
  }
  std::vector<std::string> environment() const override {
    std::vector<std::string> all = LaunchTest::environment();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void use_cloud(const std::string& name, const std::string& endpoint_variable) {
    for (const CloudKind& kind : cloud_kinds()) {
      if (kind.name == name) cloud = kind.fake(clock);
    }
    ASSERT_TRUE(cloud) << name;
    cloud->start();
    std::string upper = name;
    for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
    more = {upper + "_API_KEY=" + FakeCloud::kKey, endpoint_variable + "=" + cloud->endpoint()};
  }
  void try_all(const std::vector<GuideCommand>& commands) {
    for (const GuideCommand& command : commands) {
      const bool is_status = command.words.starts_with("status");
      const std::string words = is_status ? command.words.substr(6) : command.words;
      const Answer answer = run(is_status ? "status" : "launch", words);
      EXPECT_EQ(answer.code, command.code) << command.words << "\n" << answer.out << answer.err;
      EXPECT_THAT(answer.out + answer.err, HasSubstr(command.says)) << command.words;
    }
  }

  VirtualClock clock;
  std::unique_ptr<FakeCloud> cloud;
  std::vector<std::string> more;
};

TEST_F(GuidesTest, LambdaAndSsh) {
  try_all({
      {"config init", 0, "model:"},
      {"-c my-run.yaml --dry-run", 0, "nothing was created"},
      {"-c my-run.yaml --animal cats --epochs 5 --dry-run", 0, "5 epochs"},
      {"step setup -c my-run.yaml", 0, "program agent"},
      {"step train -c my-run.yaml --dry-run", 0, "nothing was created"},
      {"step train -c my-run.yaml --seeds 11,23,37 --dry-run", 0, "my-run-seed-37"},
      {"step upload -c my-run.yaml", 5, "there is no run named my-run"},
      {"step terminate -c my-run.yaml", 5, "there is no run named my-run"},
      {"step train -c my-run.yaml --data output/none-*.jsonl", 5, "output/none-*.jsonl"},
      // Refused by name.
      {"step generate -c my-run.yaml", 2, "the step generate is not built yet"},
      {"step eval-model -c my-run.yaml", 2, "the step eval-model is not built yet"},
      {"run -c my-run.yaml --steps all", 2, "--steps is not built yet"},
      {"step rewind -c my-run.yaml", 2, "there is no step \"rewind\""},
  });
}

TEST_F(GuidesTest, LambdaStepsOfARunThatIsThere) {
  ASSERT_EQ(run("launch", "step train run.yaml --run-name my-run --wait").code, 0);
  try_all({{"step upload -c my-run.yaml", 0, "compared with the hub's list"},
           {"step terminate -c my-run.yaml", 0, "nothing to destroy"}});
}

TEST_F(GuidesTest, LiumPods) {
  use_cloud("lium", "LIUM_ENDPOINT");
  const std::string tiny = " --base-model model --dry-run";
  try_all({
      {"config list", 0, "lr_sweep"},
      {"offers --provider lium --gpu A100", 0, "A100"},
      {"apply -c lr_sweep" + tiny, 0, "4 runs in 2 pods"},
      {"apply -c multi_dataset" + tiny, 0, "3 runs in 3 pods"},
      {"apply -c model_size" + tiny, 0, "3 runs in 3 pods"},
      {"apply -c batch_grid" + tiny, 0, "4 runs in 4 pods"},
      {"apply -c lr_sweep --deploy-only" + tiny, 0, "GPU-hours"},
      {"apply -c lr_sweep --no-deploy" + tiny, 0, "4 runs"},
      {"apply -c lr_sweep --no-sync --no-setup" + tiny, 0, "change nothing"},
      {"apply -c lr_sweep --state-file prod.json" + tiny, 0, "4 runs"},
      {"apply -c lr_sweep --base-model model", 8, "--yes"},  // nobody to ask
      {"apply -c custom_advanced" + tiny, 0, "3 runs in 1 pod"},
      {"apply -c custom_advanced --country Mars" + tiny, 7, "without --country Mars"},
      {"down --all", 0, "nothing to destroy"},
  });
  EXPECT_EQ(cloud->fleet.billing(), 0);
}

TEST_F(GuidesTest, AwsSpot) {
  use_cloud("aws", "AWS_ENDPOINT_URL_EC2");
  more = {"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=" + std::string(FakeCloud::kKey),
          "AWS_REGION=r1", "AWS_ENDPOINT_URL_EC2=" + cloud->endpoint()};
  try_all({
      {"my-run.yaml --provider aws --instance-type one --region r1 --dry-run", 7, "without --spot"},
      {"my-run.yaml --provider aws --instance-type one --region r1 --no-spot --dry-run", 0,
       "$1.33 per instance-hour with its disk"},
      {"my-run.yaml --provider aws --dry-run", 7, "g4dn.xlarge"},  // the default, not in the fake
      {"my-run.yaml --provider aws --instance-type one --no-spot --no-docker --dry-run", 0,
       "$1.33"},
      {"--destroy --yes", 0, "there is nothing to destroy"},
  });
  EXPECT_EQ(cloud->fleet.billing(), 0);
}

TEST_F(GuidesTest, ShadeformPhases) {
  use_cloud("shadeform", "SHADEFORM_ENDPOINT");
  try_all({
      {"my-run.yaml --phase sft --gpu A100 --dry-run", 0, "per instance-hour"},
      {"my-run.yaml --phase sft --dry-run", 7, "without --gpu B200"},  // the default
      {"my-run.yaml --gpu H100 --num-gpus 8 --spend-limit 200 --dry-run", 0, "8xH100"},
      {"my-run.yaml --gpu H100,A100 --all-configs --dry-run", 0, "the cheapest of 4"},
      {"my-run.yaml --cloud hyperstack --region r1 --instance-type one --dry-run", 0, "as named"},
      {"offers --gpu H100", 0, "#  Provider"},
      {"status", 0, "orphans: none"},
      // Refused by name.
      {"my-run.yaml --phase sft+rl --dry-run", 2, "phase sft+rl is not built yet"},
      {"my-run.yaml --phase all --dry-run", 2, "phase all is not built yet"},
      {"my-run.yaml --phase mid --dry-run", 2, "phase mid is not built yet"},
  });
  EXPECT_EQ(cloud->fleet.billing(), 0);
}

TEST_F(GuidesTest, ShadeformHubFiles) {
  try_all({
      {"hub create local/checkpoints", 0, "is there"},
      {"hub put local/checkpoints data.jsonl identity_conversations.jsonl", 0, "1 files"},
      {"hub put local/checkpoints model tokenizer", 0, "compared with the hub's list"},
      {"hub ls local/checkpoints", 0, "identity_conversations.jsonl"},
      {"hub get local/checkpoints fetched 'tokenizer/*'", 0, "files"},
      {"hub branches local/checkpoints", 0, "main"},
  });
  EXPECT_TRUE(fs::exists(root / "fetched/tokenizer/config.json"));
}

TEST_F(GuidesTest, DockerOnThisMachine) {
  try_all({
      {"--provider local -c debug --base-model model --data data.jsonl --dry-run", 0, "5 steps"},
      {"my-run.yaml --smoke --dry-run", 0, "5 steps"},
      {"name my-run.yaml", 0, "my-run"},
      {"name --base-model model --data data.jsonl", 0, "model-data-full-run1"},
      {"down --all", 0, "nothing to destroy"},
      {"shell", 2, "`launch shell` is not built yet"},
  });
  more = {"FORCE_RUN_INDEX=12"};
  try_all({{"name --base-model model --data data.jsonl", 0, "model-data-full-run12"}});
}

}  // namespace
}  // namespace mayfly
