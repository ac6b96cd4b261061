// A slip in a matrix is a bill: how many runs come of a file, and with which values, must be exact.
#include "core/config/fleet_file.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FleetFileTest : public TemporaryFolder {
 protected:
  FleetFile read(const std::string& text) {
    EXPECT_TRUE(write_file(folder_ / "grid.yaml", text));
    ConfigInputs inputs;
    inputs.files = {(folder_ / "grid.yaml").string()};
    inputs.working_directory = folder_;
    return read_fleet(inputs);
  }
  std::vector<std::string> problems(const std::string& text) {
    std::vector<std::string> found;
    for (const Error& problem : read(text).problems) {
      found.push_back(std::to_string(problem.at.line) + ": " + problem.message);
    }
    return found;
  }
  static std::vector<std::string> names(const FleetFile& fleet) {
    std::vector<std::string> found;
    for (const FleetExperiment& one : fleet.experiments) found.push_back(one.name);
    return found;
  }
  static std::string settings(const std::vector<CommandLineValue>& values) {
    std::string text;
    for (const CommandLineValue& one : values) text += one.path + "=" + one.text + " ";
    return text;
  }
};

TEST_F(FleetFileTest, MakesEveryCombinationOfAMatrix) {
  const FleetFile fleet =
      read("sweep:\n  matrix:\n    train.learning_rate: [1e-6, 3e-6]\n    lora.r: [8, 16, 32]\n");
  EXPECT_THAT(fleet.problems, IsEmpty());
  EXPECT_EQ(fleet.name, "grid");
  EXPECT_THAT(names(fleet), ElementsAre("learning_rate-1e-6-r-8", "learning_rate-1e-6-r-16",
                                        "learning_rate-1e-6-r-32", "learning_rate-3e-6-r-8",
                                        "learning_rate-3e-6-r-16", "learning_rate-3e-6-r-32"));
  EXPECT_EQ(settings(fleet.experiments[4].settings), "train.learning_rate=3e-6 lora.r=16 ");
  EXPECT_EQ(fleet.pods.size(), 1U);
  EXPECT_FALSE(fleet.has_pods);
}

TEST_F(FleetFileTest, DrawsTheSameCombinationsAtEveryReading) {
  const std::string matrix =
      "  matrix:\n    lora.r: {linspace: [1, 20, 20]}\n    train.epochs: [1, 2]\n";
  const auto drawn = [&](const std::string& choice) {
    const FleetFile fleet = read("sweep:\n" + choice + matrix);
    EXPECT_THAT(fleet.problems, IsEmpty());
    return names(fleet);
  };
  const std::vector<std::string> all = drawn("");
  const std::vector<std::string> three = drawn("  strategy: random(3)\n");
  ASSERT_EQ(three.size(), 3U);
  EXPECT_EQ(drawn("  strategy: random(3)\n"), three);
  EXPECT_NE(drawn("  strategy: random(3)\n  seed: 43\n"), three);
  // Of the matrix, in its order, none twice.
  auto at = all.begin();
  for (const std::string& name : three) {
    at = std::find(at, all.end(), name);
    ASSERT_NE(at, all.end()) << name;
    ++at;
  }
  EXPECT_EQ(drawn("  strategy: random(40)\n"), all);
  EXPECT_EQ(drawn("  strategy: random(41)\n"), all);
  for (const char* wrong : {"random(0)", "random(-1)", "random(3", "random(3)x", "best"}) {
    EXPECT_THAT(problems("sweep:\n  strategy: " + std::string(wrong) + "\n"),
                ElementsAre("2: sweep.strategy " + std::string(wrong) + " is none"));
  }
}

TEST_F(FleetFileTest, SpreadsNumbersWithBothEndsAndPairsWhatGoesTogether) {
  const FleetFile fleet = read(
      "sweep:\n  matrix:\n    learning_rate: {logspace: [1e-6, 1e-4, 3]}\n"
      "    zip: {batch_size: [1, 2], grad_accum_steps: [8, 4]}\n");
  EXPECT_THAT(fleet.problems, IsEmpty());
  ASSERT_EQ(fleet.experiments.size(), 6U);
  EXPECT_EQ(settings(fleet.experiments[0].settings),
            "train.learning_rate=1e-06 train.per_device_batch_size=1 "
            "train.gradient_accumulation=8 ");
  EXPECT_EQ(settings(fleet.experiments[3].settings),
            "train.learning_rate=1e-05 train.per_device_batch_size=2 "
            "train.gradient_accumulation=4 ");
  EXPECT_EQ(fleet.experiments[5].settings[0].text, "0.0001");
  const FleetFile even = read("sweep: {matrix: {lora.dropout: {linspace: [0, 0.1, 3]}}}\n");
  EXPECT_THAT(names(even), ElementsAre("dropout-0", "dropout-0.05", "dropout-0.1"));
}

TEST_F(FleetFileTest, ReadsPodsWithTheirNumbersAndDefaults) {
  const FleetFile fleet = read(
      "fleet:\n  pods:\n    - {name: 'p-{i}', count: 2, gpu_count: 1, ttl_hours: 6, country: US}\n"
      "    - {}\n");
  EXPECT_THAT(fleet.problems, IsEmpty());
  ASSERT_EQ(fleet.pods.size(), 3U);
  EXPECT_EQ(fleet.pods[1].name, "p-2");
  EXPECT_EQ(settings(fleet.pods[1].settings),
            "instance.gpu=A100 instance.num_gpus=1 limits.ttl_hours=6 instance.country=US ");
  EXPECT_EQ(fleet.pods[2].name, "pod-2");
  EXPECT_EQ(settings(fleet.pods[2].settings), "instance.gpu=A100 instance.num_gpus=8 ");
}

TEST_F(FleetFileTest, ReadsExperimentsWithPathsSectionsAndTheGuidesNames) {
  const FleetFile fleet = read(
      "fleet: {pods: [{name: a}, {name: b}]}\n"
      "sweep:\n  experiments:\n"
      "    - {name: one, pod: b, dataset: math, total_steps: 5, train: {epochs: 2}}\n"
      "    - {lora.r: 4}\n");
  EXPECT_THAT(fleet.problems, IsEmpty());
  EXPECT_EQ(fleet.experiments[0].pod, "b");
  EXPECT_EQ(settings(fleet.experiments[0].settings),
            "generate.vars.dataset=math train.max_steps=5 train.epochs=2 ");
  EXPECT_EQ(fleet.experiments[1].name, "experiment-2");
  EXPECT_EQ(fleet.experiments[0].settings[0].spelling, "sweep.experiments[0].dataset");
}

TEST_F(FleetFileTest, RefusesWhatItCannotMeanWithItsPlace) {
  EXPECT_THAT(problems("fleet: {pods: [{name: a}, {name: a}]}\n"),
              ElementsAre("1: there are two pods named a"));
  EXPECT_THAT(problems("fleet: 3\n"), ElementsAre(HasSubstr("fleet is a section")));
  EXPECT_THAT(problems("fleet:\n  machines: []\n"), ElementsAre("2: unknown key fleet.machines"));
  EXPECT_THAT(problems("sweep:\n  strategy: random\n"),
              ElementsAre("2: sweep.strategy random is none"));
  EXPECT_THAT(problems("sweep: {experiments: [{gpu_devices: '1,2'}]}\n"),
              ElementsAre("1: sweep.experiments[0].gpu_devices is not built yet"));
  EXPECT_THAT(problems("sweep: {experiments: [{name: a}, {name: a}]}\n"),
              ElementsAre(HasSubstr("two experiments named \"a\"")));
  EXPECT_THAT(problems("sweep: {experiments: [{name: a, pod: z}]}\n"),
              ElementsAre(HasSubstr("for pod z, which there is not")));
  EXPECT_THAT(problems("sweep:\n  matrix: {zip: {a: [1], b: [1, 2]}}\n"),
              ElementsAre("2: the lists of sweep.matrix.zip are not of one length"));
  EXPECT_THAT(problems("sweep:\n  matrix: {lora.r: []}\n"),
              ElementsAre("2: sweep.matrix.lora.r names nothing to choose from"));
  for (const char* spread : {"[1, 2]", "[1, 2, 1]", "[1, 2, 101]", "[1, 2, 2.5]", "[0, 2, 3]"}) {
    const auto found =
        problems("sweep:\n  matrix: {lora.r: {logspace: " + std::string(spread) + "}}\n");
    EXPECT_THAT(found, testing::Contains(HasSubstr("[from, to, count]"))) << spread;
  }
}

TEST_F(FleetFileTest, StopsAMatrixThatIsASlip) {
  std::string list = "[0";
  for (int i = 1; i < 101; ++i) list += ", " + std::to_string(i);
  const std::string matrix = "sweep:\n  matrix:\n    run.seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n";
  EXPECT_THAT(problems(matrix + "    lora.r: " + list + "]\n"),
              ElementsAre("4: sweep.matrix has more than 1000 combinations"));
}

TEST_F(FleetFileTest, IsRefusedWhereOneRunIsWanted) {
  const std::string path = (folder_ / "grid.yaml").string();
  ASSERT_TRUE(write_file(path, "sweep: {matrix: {lora.r: [1, 2]}}\nfleet: {}\n"));
  ConfigInputs inputs;
  inputs.files = {path};
  inputs.must_be_complete = false;
  const LoadedConfig refused = load_config(inputs);
  ASSERT_EQ(refused.problems.size(), 1U);  // an empty section asks for nothing
  EXPECT_THAT(refused.problems[0].message, HasSubstr("sweep makes several runs"));
  EXPECT_THAT(refused.problems[0].hint, HasSubstr("launch apply"));
  inputs.fleet_apart = true;
  EXPECT_THAT(load_config(inputs).problems, IsEmpty());
}

}  // namespace
}  // namespace mayfly
