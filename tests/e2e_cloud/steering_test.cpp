// A run at a cloud as a person deals with it, and the ways in which setting it up fails. What must
// not happen: a machine that goes on billing, a source that is silent and not named, another
// program than the one whose hash stands in the start-up file.
#include <gmock/gmock.h>

#include "core/sha256.h"
#include "core/spawn.h"
#include "tests/e2e_cloud/cloud_run.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

class CloudSteeringTest : public CloudRunTest {
 protected:
  static constexpr const char* kLong = "--set generate.vars.steps_per_epoch=2000";

  void expect_nothing_left() {
    EXPECT_EQ(cloud_->fleet.billing(), 0);
    EXPECT_TRUE(wait_for([&] { return stand_ins_->processes().empty(); }, 5s)) << consoles();
  }
};

TEST_F(CloudSteeringTest, IsLookedAtAndStoppedFromTheLaptop) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const Answer launched = run("launch", words(kLong));
  ASSERT_EQ(launched.code, 0) << launched.out << launched.err << consoles();
  ASSERT_TRUE(wait_for([&] { return status_of("one")["step"].get<int>() > 2; }, 30s)) << consoles();
  const json status = status_of("one");
  EXPECT_EQ(status["state"], "training");
  EXPECT_EQ(status["instance"]["state"], "running");
  EXPECT_TRUE(status["stale"].empty()) << status;
  EXPECT_THAT(run("launch", "logs one").out, HasSubstr("agent | "));
  EXPECT_THAT(run("launch", "ssh one -- echo is-there").out, HasSubstr("is-there"));
  EXPECT_EQ(run("launch", "checkpoint one").code, 0);
  const Answer extended = run("launch", "extend one --usd 1 --yes");
  EXPECT_EQ(extended.code, 0) << extended.out << extended.err;

  EXPECT_EQ(run("launch", "stop one").code, 0);
  ASSERT_TRUE(wait_for([&] { return status_of("one")["state"] == "gone"; }, 40s)) << consoles();
  EXPECT_EQ(status_of("one")["receipt"], "confirmed");
  const std::vector<std::string> left = branches("local/one");
  EXPECT_TRUE(std::any_of(left.begin(), left.end(), [](const std::string& name) {
    return name.starts_with("stopped-step-");
  })) << testing::PrintToString(left);
  expect_nothing_left();
}

// As after a reclaim: what was learned is on the hub, and another machine goes on from it.
TEST_F(CloudSteeringTest, GoesOnOnAnotherMachineAfterOneWasLost) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const std::string slow =
      "--set hub.optimizer_state=all --set generate.vars.steps_per_epoch=60 "
      "--set generate.vars.step_ms=50";
  ASSERT_EQ(run("launch", words(slow)).code, 0) << consoles();
  ASSERT_TRUE(wait_for(
      [&] {
        const json status = status_of("one");
        for (const auto& upload : status["uploads"]) {
          if (upload["label"] == "checkpoint-epoch-1" && upload["state"] == "safe") return true;
        }
        return false;
      },
      60s))
      << consoles();
  ASSERT_EQ(run("launch", "down one --yes").code, 0);

  const Answer resumed = run("launch", "resume one --wait --yes");
  ASSERT_EQ(resumed.code, 0) << resumed.out << resumed.err << consoles();
  EXPECT_THAT(resumed.out, HasSubstr("goes on with one from step 60"));
  EXPECT_EQ(cloud_->fleet.all().size(), 2U);
  EXPECT_EQ(status_of("one-resumed")["receipt"], "confirmed");
  expect_nothing_left();

  // As if it had never been lost.
  const Answer whole = run("launch", "run.yaml --provider local --run-name whole --wait " + slow);
  ASSERT_EQ(whole.code, 0) << whole.out << whole.err;
  for (const char* name : {"one", "whole"}) {
    ASSERT_EQ(run("launch", "hub get local/" + std::string(name) + "@main got-" + name).code, 0);
  }
  const char* const adapter = "adapter_model.safetensors";
  EXPECT_EQ(*read_file(root / "got-one" / adapter), *read_file(root / "got-whole" / adapter));
}

TEST_F(CloudSteeringTest, NamesTheMachineThatDoesNotAnswerAndEndsItAllTheSame) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  ASSERT_EQ(run("launch", words(kLong)).code, 0) << consoles();
  stand_ins_->cut_off(cloud_->fleet.all().front().id);
  const json status = status_of("one");
  ASSERT_FALSE(status["stale"].empty()) << status;
  EXPECT_THAT(status["stale"][0].get<std::string>(), HasSubstr("machine: ssh"));
  EXPECT_EQ(status["instance"]["state"], "running");  // the provider's word is fresh

  const Answer down = run("launch", "down one --yes");
  EXPECT_EQ(down.code, 0) << down.out << down.err;
  EXPECT_THAT(down.out, HasSubstr("gone, confirmed"));
  expect_nothing_left();
}

// AWS lists machines by region: asked in another one it says that there is no such machine.
TEST_F(CloudSteeringTest, EndsAMachineInARegionThatTheShellDoesNotName) {
  if (!start("aws")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  ASSERT_EQ(run("launch", words(kLong)).code, 0) << consoles();
  ASSERT_EQ(cloud_->fleet.all().front().region, "r1");
  aws_region_ = "r2";
  EXPECT_EQ(status_of("one")["instance"]["state"], "running");
  const Answer down = run("launch", "down one --yes");
  EXPECT_EQ(down.code, 0) << down.out << down.err;
  expect_nothing_left();
}

TEST_F(CloudSteeringTest, TakesNoProgramsButThoseItWasPromised) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  ASSERT_EQ(run("launch", words("--dry-run")).code, 0);  // packs the bundle
  std::filesystem::path bundle;
  for (const auto& entry : std::filesystem::directory_iterator(root / ".cache/mayfly/bundles")) {
    bundle = entry.path();
  }
  ASSERT_FALSE(bundle.empty());
  const std::string address = " --set agent.url=file://" + bundle.string() + " --set agent.sha256=";
  const Answer other = run("launch", words("--wait" + address + std::string(64, '0')));
  EXPECT_EQ(other.code, 10) << other.out << other.err << consoles();
  EXPECT_THAT(other.err, HasSubstr("cannot get the program bundle"));
  EXPECT_THAT(other.err, HasSubstr("destroyed, confirmed"));
  expect_nothing_left();
  EXPECT_EQ(cloud_->fleet.all().size(), 1U);

  const Answer same = run("launch", words("--wait" + address + *sha256_file(bundle)));
  EXPECT_EQ(same.code, 0) << same.out << same.err << consoles();
  expect_nothing_left();
}

// The hub of the user has the programs; the machine fetches them without a token.
TEST_F(CloudSteeringTest, TakesTheProgramsThatWerePushedToTheHub) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const Answer pushed = run("launch", "bundle push local/programs --json");
  ASSERT_EQ(pushed.code, 0) << pushed.out << pushed.err;
  const auto keys = parse_json(pushed.out, "bundle push");
  ASSERT_TRUE(keys);
  const std::string url = (*keys)["url"];
  const std::string address =
      "--set agent.url=" + url + " --set agent.sha256=" + (*keys)["sha256"].get<std::string>();
  const Answer answer = run("launch", words("--wait " + address));
  EXPECT_EQ(answer.code, 0) << answer.out << answer.err << consoles();
  const auto root_there = stand_ins_->root_of(cloud_->fleet.all().front().id);
  EXPECT_THAT(*read_file(root_there / "opt/mayfly/programs"), HasSubstr(url));
  expect_nothing_left();
  // Again: nothing is sent, and the address is the same.
  EXPECT_THAT(run("launch", "bundle push local/programs").out, HasSubstr(url));
}

// A machine that starts has no token, so an address that needs one is not called good.
TEST_F(CloudSteeringTest, RefusesAHubThatKeepsTheProgramsToItself) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  ASSERT_EQ(run("launch", "hub create local/secret --private").code, 0);
  const Answer pushed = run("launch", "bundle push local/secret");
  EXPECT_EQ(pushed.code, 6) << pushed.out << pushed.err;
  EXPECT_THAT(pushed.err, HasSubstr("without a token"));
  EXPECT_EQ(run("launch", "bundle pull local/secret").code, 2);
}

TEST_F(CloudSteeringTest, DestroysWhatItCannotReach) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  stand_ins_->mute = true;
  const Answer answer = run("launch", words("--wait --set instance.boot_timeout=6s"));
  EXPECT_EQ(answer.code, 4) << answer.out << answer.err;
  EXPECT_THAT(answer.err, HasSubstr("destroyed, confirmed"));
  EXPECT_EQ(run("launch", "reap").code, 0);
  expect_nothing_left();
}

TEST_F(CloudSteeringTest, DestroysWhatIsInterruptedBeforeItWasSetUp) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  stand_ins_->mute = true;
  SpawnSpec spec;
  spec.argv = {"/bin/sh", "-c", "exec " + programs + "/launch " + words("")};
  spec.environment = environment();
  spec.folder = root;
  spec.output = root / "launcher.txt";
  const auto launcher = spawn(spec);
  ASSERT_TRUE(launcher);
  ASSERT_TRUE(wait_for([&] { return cloud_->fleet.billing() == 1; }, 20s));
  ::kill(*launcher, SIGINT);
  const auto code = wait_for_exit(*launcher, 40s);
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 8) << *read_file(root / "launcher.txt");
  expect_nothing_left();
}

}  // namespace
}  // namespace mayfly
