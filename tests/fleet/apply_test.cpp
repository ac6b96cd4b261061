// Several runs from one file with real processes on this machine: one after another in a pod, pods
// side by side; a second time nothing is made twice, and what the file does not name any more is
// gone.
#include <gmock/gmock.h>

#include "tests/e2e_launch/launch_fixture.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ApplyTest : public LaunchTest {
 protected:
  void write_fleet(const std::string& sweep, const std::string& steps = "2") {
    std::ofstream(root / "grid.yaml")
        << "provider: local\nmodel: {base: model}\ndata: {path: data.jsonl}\ntrain: {epochs: 1}\n"
           "generate: {vars: {steps_per_epoch: '" +
               steps + "', step_ms: '20'}}\nfleet: {pods: [{name: a}, {name: b}]}\n" + sweep;
  }
  json rows(const std::string& words = "") {
    const Answer answer = run("launch", "apply grid.yaml --dry-run --json " + words);
    EXPECT_EQ(answer.code, 0) << answer.err;
    const auto document = parse_json(answer.out, "apply");
    json marks = json::object();
    if (!document) return marks;
    for (const json& row : (*document)["runs"]) {
      marks[row["name"].get<std::string>()] =
          row["mark"].get<std::string>() + " " + row["state"].get<std::string>();
    }
    return marks;
  }
  WallTime time_of(const json& run, const char* key) {
    const auto time = parse_utc(run[key].get<std::string>());
    EXPECT_TRUE(time);
    return time ? *time : WallTime{};
  }
  json known_run(const std::string& name) {
    const auto document = parse_json(*read_file(root / "state/runs.json"), "runs.json");
    for (const json& one : (*document)["runs"]) {
      if (one["name"] == name) return one;
    }
    ADD_FAILURE() << "no run " << name;
    return {};
  }
};

TEST_F(ApplyTest, MakesEachRunOnceOneAfterAnotherInItsPod) {
  write_fleet("sweep: {matrix: {lora.r: [1, 2, 4]}}\n");
  const auto before = tree();
  EXPECT_EQ(rows().dump(), R"({"grid-r-1":"+ new","grid-r-2":"+ new","grid-r-4":"+ new"})");
  EXPECT_EQ(tree(), before);

  const Answer answer = run("launch", "apply grid.yaml");
  ASSERT_EQ(answer.code, 0) << answer.out << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("3 runs in 2 pods"));
  for (const char* name : {"grid-r-1", "grid-r-2", "grid-r-4"}) {
    EXPECT_THAT(answer.out, HasSubstr(std::string(name) + ": done"));
    EXPECT_TRUE(fs::exists(root / "outputs" / name / "receipt.json")) << name;
    EXPECT_EQ(branches("local/" + std::string(name)).size(), 2U);
  }
  EXPECT_EQ(machines_running(), 0);
  // r-1 and r-4 share pod a: the second was begun after the first was gone. r-2 did not wait.
  EXPECT_GE(time_of(known_run("grid-r-4"), "created_at"),
            time_of(known_run("grid-r-1"), "gone_at"));
  EXPECT_LT(time_of(known_run("grid-r-2"), "created_at"),
            time_of(known_run("grid-r-1"), "gone_at"));

  EXPECT_EQ(rows().dump(), R"({"grid-r-1":"= done","grid-r-2":"= done","grid-r-4":"= done"})");
  const Answer again = run("launch", "apply grid.yaml");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("0 runs in 0 pods"));
}

TEST_F(ApplyTest, DestroysWhatTheFileDoesNotNameAnyMoreOnlyWhenItIsMeant) {
  write_fleet("sweep: {matrix: {lora.r: [1, 2]}}\n", "2000");
  // Two long runs that a first life of the program has begun.
  for (const char* rank : {"1", "2"}) {
    std::ofstream(root / "one.yaml")
        << "provider: local\nmodel: {base: model}\ndata: {path: data.jsonl}\ntrain: {epochs: 1}\n"
           "generate: {vars: {steps_per_epoch: '2000', step_ms: '20'}}\nrun: {name: grid-r-"
        << rank << ", group: grid}\nlora: {r: " << rank << "}\n";
    ASSERT_EQ(run("launch", "one.yaml").code, 0);
  }
  EXPECT_EQ(rows().dump(), R"({"grid-r-1":"= running","grid-r-2":"= running"})");
  write_fleet("sweep: {matrix: {lora.r: [1]}}\n", "2000");
  const json marks = rows();
  EXPECT_EQ(marks["grid-r-2"], "- in no file");
  EXPECT_EQ(marks["grid-r-1"], "= running");
  EXPECT_EQ(rows("--no-prune").size(), 1U);
  const Answer refused = run("launch", "apply grid.yaml");
  EXPECT_EQ(refused.code, 8) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("grid-r-2"));
  EXPECT_EQ(machines_running() > 0, true);
  const Answer answer = run("launch", "apply grid.yaml --yes --deploy-only");
  EXPECT_EQ(answer.code, 0) << answer.out << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("grid-r-2: gone, confirmed"));
  EXPECT_EQ(status_of("grid-r-2")["state"], "gone");
  EXPECT_NE(status_of("grid-r-1")["state"], "gone");
}

TEST_F(ApplyTest, StartsNoExperimentWithDeployOnlyAndNoneInAPodWithoutAMachineWithNoDeploy) {
  write_fleet("sweep: {matrix: {lora.r: [1, 2]}}\n");
  for (const char* flag : {"--deploy-only", "--no-deploy"}) {
    const Answer answer = run("launch", "apply grid.yaml " + std::string(flag));
    EXPECT_EQ(answer.code, 0) << answer.err;
    EXPECT_FALSE(fs::exists(root / "outputs")) << flag;
  }
  const Answer notes = run("launch", "apply grid.yaml --deploy-only --no-sync");
  EXPECT_THAT(notes.err, HasSubstr("change nothing"));
}

TEST_F(ApplyTest, GoesOnInAPodAfterAnExperimentThatFailed) {
  write_fleet(
      "sweep:\n  experiments:\n    - {name: bad, pod: a, generate: {vars: {crash_at: '1'}}}\n"
      "    - {name: good, pod: a}\n");
  const Answer answer = run("launch", "apply grid.yaml");
  EXPECT_EQ(answer.code, 10) << answer.out << answer.err;
  EXPECT_THAT(answer.out, HasSubstr("grid-bad: code 10"));
  EXPECT_THAT(answer.out, HasSubstr("grid-good: done"));
  EXPECT_EQ(rows()["grid-bad"], "= failed");
  fs::remove_all(root / "outputs/grid-bad");
  EXPECT_EQ(rows()["grid-bad"], "+ new");
}

TEST_F(ApplyTest, RunsSeveralSeedsEachWithItsDirectoryAndRepository) {
  write_run_file("");
  const Answer plan = run("launch", "run.yaml --seeds 11,23 --dry-run --json");
  ASSERT_EQ(plan.code, 0) << plan.err;
  const auto document = parse_json(plan.out, "plan");
  ASSERT_TRUE(document);
  EXPECT_EQ((*document)["runs"][1]["name"], "one-seed-23");
  EXPECT_EQ((*document)["runs"][1]["hub_repo"], "local/one-seed-23");
  EXPECT_EQ((*document)["runs"][1]["seed"], 23);
  EXPECT_FALSE(fs::exists(root / "outputs"));
  const Answer answer = run("launch", "run.yaml --seeds 11,23 --price 3.6");
  EXPECT_EQ(answer.code, 8) << answer.out;  // it has a price, and nobody was asked
  const Answer done = run("launch", "run.yaml --seeds 11,23 --epochs 1");
  ASSERT_EQ(done.code, 0) << done.out << done.err;
  for (const char* name : {"one-seed-11", "one-seed-23"}) {
    EXPECT_TRUE(fs::exists(root / "outputs" / name / "adapter")) << name;
    EXPECT_EQ(branches("local/" + std::string(name)).size(), 2U);
  }
}

// Rows P-11 to P-15: the files that come with the program.
TEST_F(ApplyTest, KnowsTheFiveConfigurationsOfTheGuide) {
  fs::create_directory_symlink(MAYFLY_SOURCE_DIR "/configs", root / "configs");
  fs::create_directory(root / "data");
  for (const char* name : {"gsm8k", "math", "mbpp"}) {
    make_tiny_data(root / "data" / (std::string(name) + ".jsonl"), 16);
  }
  const std::vector<std::tuple<std::string, std::size_t, std::size_t>> all = {
      {"lr_sweep", 4, 2},
      {"multi_dataset", 3, 3},
      {"model_size", 3, 3},
      {"batch_grid", 4, 4},
      {"custom_advanced", 3, 1}};
  for (const auto& [name, runs, pods] : all) {
    const Answer answer = run("launch", "apply -c " + name +
                                            " --provider local --base-model model --deploy-only "
                                            "--dry-run --json");
    ASSERT_EQ(answer.code, 0) << name << answer.err;
    const auto document = parse_json(answer.out, name);
    ASSERT_TRUE(document);
    EXPECT_EQ((*document)["runs"].size(), runs) << name;
    std::set<std::string> found;
    for (const json& row : (*document)["runs"]) found.insert(row["pod"].get<std::string>());
    EXPECT_EQ(found.size(), pods) << name;
  }
  const Answer list = run("launch", "config list");
  EXPECT_THAT(list.out, HasSubstr("lr_sweep"));
}

}  // namespace
}  // namespace mayfly
