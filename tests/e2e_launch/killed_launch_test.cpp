// A launcher that is killed at any step of creating a machine. What must not happen: a machine that
// `launch reap` does not account for, two machines of one run, or a clean bill while something is
// uncertain.
//
// Which steps there are is recorded once (strace); then as many launches as there are points,
// spread evenly over those steps, are each killed at its own, in turn by SIGKILL and SIGINT. The
// machines that were made run on, as they do for a user; in the end all are destroyed and counted.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSteps =
    "mkdir,openat,write,fsync,rename,unlink,flock,chmod,clone,clone3,vfork,connect,sendto";
constexpr std::size_t kPoints = 30;
constexpr std::size_t kSoakPoints = 300;

struct Step {
  std::string call;
  int number = 0;  // the how-manieth of its kind, from 1
};

class KilledLaunchTest : public LaunchTest {
 protected:
  static bool can_trace() {
    return std::system("strace -qq -o /dev/null true 2>/dev/null") == 0;
  }
  Answer traced(const std::string& options, const std::string& words) {
    const std::string real = programs;
    // The fixture runs "<programs>/<program>"; strace goes in front of it by a small script.
    const fs::path folder = root / "traced";
    fs::create_directories(folder);
    std::ofstream(folder / "launch")
        << "#!/bin/sh\nexec strace -qq -o '" << (root / "trace").string() << "' " << options << " "
        << real << "/launch \"$@\"\n";
    fs::permissions(folder / "launch", fs::perms::owner_all);
    programs = folder.string();
    Answer answer = run("launch", words);
    programs = real;
    return answer;
  }
  static std::string words_for(const std::string& name) {
    return "run.yaml -q --run-name " + name;
  }
  // The steps of a whole launch, in order.
  std::vector<Step> record() {
    EXPECT_EQ(traced(std::string("-e trace=") + kSteps, words_for("recorded")).code, 0);
    std::vector<Step> steps;
    std::map<std::string, int> seen;
    std::ifstream trace(root / "trace");
    bool ours = false;
    for (std::string line; std::getline(trace, line);) {
      const std::string call = line.substr(0, line.find('('));
      const int number = ++seen[call];
      // Before the list of runs is written nothing is created; those steps are all alike.
      ours = ours || line.find("runs.json.tmp") != std::string::npos;
      if (ours && line.find(' ') != std::string::npos) steps.push_back({call, number});
    }
    return steps;
  }
  json reap() {
    const Answer answer = run("launch", "reap --json");
    const auto document = parse_json(answer.out, "reap");
    EXPECT_TRUE(document) << answer.out << answer.err;
    json found = document ? *document : json::object();
    found["code"] = answer.code;
    return found;
  }
  // Machines that the provider bills, by run id.
  std::map<std::string, std::vector<std::string>> billed() {
    std::map<std::string, std::vector<std::string>> machines;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(root / "state/local", code)) {
      const auto record = read_local_record(entry.path());
      if (!record || record->instance.state == InstanceState::gone) continue;
      machines[record->instance.run_id].push_back(record->instance.id);
    }
    return machines;
  }
};

TEST_F(KilledLaunchTest, EverythingThatBillsIsAccountedForWhereverTheLauncherDies) {
  if (!can_trace()) GTEST_SKIP() << "strace is missing, or may not trace here";
  const std::vector<Step> steps = record();
  ASSERT_GT(steps.size(), 20U);
  const std::size_t points = std::getenv("MAYFLY_SOAK") != nullptr ? kSoakPoints : kPoints;
  int died = 0, left_a_machine = 0, uncertain = 0;
  std::set<std::string> made_twice;
  for (std::size_t i = 0; i < points; ++i) {
    const Step& step = steps[i * (steps.size() - 1) / (points - 1)];
    const std::string signal = i % 2 == 0 ? "SIGKILL" : "SIGINT";
    const std::string where = signal + " at " + step.call + " " + std::to_string(step.number);
    const std::string name = "p" + std::to_string(i);
    const Answer launched = traced("-e trace=" + step.call + " -e inject=" + step.call +
                                       ":signal=" + signal + ":when=" + std::to_string(step.number),
                                   words_for(name));
    died += launched.code != 0 ? 1 : 0;

    // Looked at twice: what ends by itself in between must not be called a doubt.
    const auto before = billed();
    const json found = reap();
    for (const auto& [run_id, machines] : before) {
      EXPECT_EQ(machines.size(), 1U) << where << ": run " << run_id << " has more than one";
      if (machines.size() > 1) made_twice.insert(run_id);
      for (const std::string& id : machines) {
        const bool named = std::any_of(
            found["machines"].begin(), found["machines"].end(),
            [&](const json& machine) { return machine["id"] == id && machine["run"] != ""; });
        EXPECT_TRUE(named || !billed().contains(run_id)) << where << ": " << id << " in " << found;
      }
    }
    bool doubt = !found["doubts"].empty();
    for (const json& machine : found["machines"]) {
      doubt = doubt || machine["verdict"] == "UNCERTAIN";
      left_a_machine += machine["run"] == name && machine["id"] != "" ? 1 : 0;
    }
    EXPECT_EQ(found["code"], doubt ? 9 : 0) << where << ": " << found;
    uncertain += doubt ? 1 : 0;
  }
  // The points must have hit, on both sides of the machine's making.
  EXPECT_GT(died, static_cast<int>(points) / 2);
  EXPECT_GT(left_a_machine, 0);
  EXPECT_GT(uncertain, 0);

  EXPECT_EQ(run("launch", "down --all --yes").code, 0);
  const json last = reap();
  EXPECT_EQ(last["code"], 0) << last;
  EXPECT_TRUE(last["machines"].empty()) << last;
  EXPECT_TRUE(billed().empty());
  EXPECT_EQ(machines_running(), 0);
  std::cout << "figures: points " << points << " in " << steps.size() << " steps, launchers died "
            << died << ", left a machine " << left_a_machine << ", something uncertain "
            << uncertain << ", double creates " << made_twice.size() << ", left billing "
            << billed().size() << "\n";
}

}  // namespace
}  // namespace mayfly
