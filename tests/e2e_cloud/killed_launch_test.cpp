// A launcher that is killed while it makes and sets up a machine at a cloud. What must not happen:
// a machine that bills and that `launch reap` neither ends nor names, or a second machine of a run.
//
// Points in time instead of system calls: which step is hit differs from run to run, that it is
// accounted for does not. Points spread evenly over the time that a launch takes here.
#include <cmath>
#include <csignal>
#include <iostream>

#include "core/spawn.h"
#include "tests/e2e_cloud/cloud_run.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kPoints = 8;
constexpr int kSoakPoints = 30;

class KilledCloudLaunchTest : public CloudRunTest {
 protected:
  Result<pid_t> begin(const std::string& name) {
    SpawnSpec spec;
    spec.argv = {"/bin/sh", "-c",
                 "exec " + programs + "/launch " +
                     words("-q --run-name " + name + " --set generate.vars.steps_per_epoch=5000")};
    spec.environment = environment();
    spec.folder = root;
    spec.output = root / (name + ".txt");
    return spawn(spec);
  }
};

TEST_F(KilledCloudLaunchTest, EverythingThatBillsIsEndedOrNamed) {
  if (!start("shadeform")) GTEST_SKIP() << "there is no sshd here: ./dev setup unpacks one";
  const auto began = std::chrono::steady_clock::now();
  const auto whole = begin("whole");
  ASSERT_TRUE(whole);
  ASSERT_TRUE(wait_for_exit(*whole, 240s));
  const auto takes =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
  ASSERT_EQ(run("launch", "down --all --yes").code, 0);

  const int points = std::getenv("MAYFLY_SOAK") != nullptr ? kSoakPoints : kPoints;
  int died = 0, made = 0, kept = 0, uncertain = 0, double_creates = 0;
  for (int i = 0; i < points; ++i) {
    const std::string name = "p" + std::to_string(i);
    const std::size_t before = cloud_->fleet.all().size();
    const auto launcher = begin(name);
    ASSERT_TRUE(launcher);
    // Most of a launch is waiting for the machine; what is done before that is over early.
    const double share = std::pow((i + 1.0) / (points + 1.0), 3);
    std::this_thread::sleep_for(
        milliseconds(std::llround(share * static_cast<double>(takes.count()))));
    ::kill(*launcher, SIGKILL);
    const auto code = wait_for_exit(*launcher, 20s);
    died += code && *code == 128 + SIGKILL ? 1 : 0;
    const std::size_t machines = cloud_->fleet.all().size() - before;
    EXPECT_LE(machines, 1U) << name;
    double_creates += machines > 1 ? 1 : 0;
    made += static_cast<int>(machines);

    const Answer answer = run("launch", "reap --json --yes");
    const auto document = parse_json(answer.out, "reap");
    ASSERT_TRUE(document) << answer.out << answer.err;
    bool doubt = !(*document)["doubts"].empty();
    int named = 0;
    for (const json& machine : (*document)["machines"]) {
      doubt = doubt || machine["verdict"] == "UNCERTAIN";
      named += machine["verdict"] == "kept" ? 1 : 0;
    }
    EXPECT_EQ(answer.code, doubt ? 9 : 0) << name << ": " << answer.out;
    // What bills has an agent of its own and is named; nothing else does.
    EXPECT_EQ(cloud_->fleet.billing(), named) << name << ": " << answer.out;
    kept += named;
    uncertain += doubt ? 1 : 0;
    const Answer down = run("launch", "down --all --yes");
    EXPECT_EQ(down.code, 0) << down.out << down.err;
    EXPECT_EQ(cloud_->fleet.billing(), 0) << name;
  }
  std::cout << "figures: points " << points << " in " << takes.count() << " ms, launchers died "
            << died << ", machines made " << made << ", with their agent " << kept
            << ", something uncertain " << uncertain << ", double creates " << double_creates
            << ", left billing " << cloud_->fleet.billing() << "\n";
  // On both sides of the machine's making.
  EXPECT_GT(died, points / 2);
  EXPECT_GT(made, 0);
  EXPECT_LT(made, points);
  EXPECT_TRUE(wait_for([&] { return stand_ins_->processes().empty(); }, 5s));
}

}  // namespace
}  // namespace mayfly
