// Which runs come of seeds and fleets, and which of them are made, kept and destroyed. A run too
// many is a bill; one too few, and a live run that is taken for a stranger's, is lost work.
#include "launcher/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/atomic_file.h"
#include "launcher/apply_command.h"
#include "launcher/batch.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JobTest : public TemporaryFolder {
 protected:
  FleetJobs jobs(const std::string& text, std::vector<CommandLineValue> line = {}) {
    EXPECT_TRUE(write_file(folder_ / "grid.yaml", "model: {base: m}\ndata: {path: d}\n" + text));
    ConfigInputs inputs;
    inputs.files = {(folder_ / "grid.yaml").string()};
    inputs.working_directory = folder_;
    inputs.command_line = std::move(line);
    const FleetFile fleet = read_fleet(inputs);
    EXPECT_THAT(fleet.problems, IsEmpty());
    return jobs_of_fleet(fleet, inputs);
  }
  static std::vector<std::string> names(const FleetJobs& made) {
    std::vector<std::string> found;
    for (const Job& job : made.jobs) found.push_back(job.pod + "/" + job.run_name());
    return found;
  }
};

TEST_F(JobTest, GivesEachSeedItsNameDirectoryAndRepository) {
  RunConfig config;
  config.run.seeds = {11, 23};
  config.hub.repo_prefix = "me/student";
  const std::vector<Job> made = jobs_of_seeds(config, "dogs");
  ASSERT_EQ(made.size(), 2U);
  EXPECT_EQ(made[1].run_name(), "dogs-seed-23");
  EXPECT_THAT(made[1].config.run.seeds, ElementsAre(23));
  EXPECT_EQ(made[1].config.hub.repo_prefix, "me/student");  // choose_hub adds -seed-23
}

TEST_F(JobTest, LetsPodsTakeTurnsAndNamesRunsByFleetExperimentAndSeed) {
  const FleetJobs made = jobs(
      "run: {seeds: [1, 2]}\nhub: {repo_prefix: me/grid}\n"
      "fleet: {pods: [{name: a}, {name: b}]}\nsweep: {matrix: {lora.r: [4, 8, 16]}}\n");
  EXPECT_THAT(made.problems, IsEmpty());
  EXPECT_THAT(names(made),
              ElementsAre("a/grid-r-4-seed-1", "a/grid-r-4-seed-2", "b/grid-r-8-seed-1",
                          "b/grid-r-8-seed-2", "a/grid-r-16-seed-1", "a/grid-r-16-seed-2"));
  EXPECT_EQ(made.jobs[3].config.lora.r, 8);
  EXPECT_EQ(made.jobs[3].config.hub.repo, "me/grid-r-8-seed-2");
  EXPECT_EQ(made.jobs[3].config.hub.repo_prefix, std::nullopt);
  EXPECT_EQ(made.jobs[3].config.run.group, "grid");
}

TEST_F(JobTest, LetsTheCommandLineWinOverPodsAndExperiments) {
  const FleetJobs made =
      jobs("fleet: {pods: [{ttl_hours: 6}]}\nsweep: {matrix: {lora.r: [4, 8]}}\n",
           {{"lora.r", "2", "--lora-r"}, {"limits.ttl_hours", "1", "--ttl"}});
  EXPECT_EQ(made.jobs[1].config.lora.r, 2);
  EXPECT_EQ(made.jobs[1].config.limits.ttl_hours, 1.0);
}

TEST_F(JobTest, TellsAMistakeOnceAndSaysWhereItStands) {
  const FleetJobs made = jobs("trian: {}\nsweep: {matrix: {lora.r: [x, 8]}}\n");
  ASSERT_EQ(made.problems.size(), 2U);
  EXPECT_THAT(made.problems[0].message + made.problems[1].message,
              HasSubstr("sweep.matrix.lora.r"));
  const FleetJobs one_repo = jobs("hub: {repo: me/one}\nsweep: {matrix: {lora.r: [4, 8]}}\n");
  ASSERT_EQ(one_repo.problems.size(), 1U);
  EXPECT_THAT(one_repo.problems[0].message, HasSubstr("one repository for 2 runs"));
}

TEST_F(JobTest, MakesWhatIsMissingKeepsWhatRunsOrIsDoneAndDestroysWhatIsExtra) {
  const FleetJobs made = jobs("sweep: {matrix: {lora.r: [1, 2, 3, 4, 5, 6]}}\n");
  const FleetDiff diff = fleet_diff(made.jobs, {{"grid-r-1", true, false},         // runs
                                                {"grid-r-2", false, true},         // done
                                                {"grid-r-3", false, false},        // failed
                                                {"grid-r-6", false, false, true},  // and is there
                                                {"grid-r-4", false, true},         // done once,
                                                {"grid-r-4", true, false},         // and runs again
                                                {"grid-r-9", true, false},         // extra
                                                {"grid-r-8", false, false}});  // extra, and gone
  EXPECT_THAT(diff.make, ElementsAre(2, 4));
  EXPECT_THAT(diff.wait, ElementsAre(0, 3));
  EXPECT_THAT(diff.done, ElementsAre(1));
  EXPECT_THAT(diff.failed, ElementsAre(5));
  EXPECT_THAT(diff.destroy, ElementsAre("grid-r-9"));
}

TEST(BatchTest, StartsNothingMoreInAPodWhoseMachineMayBeThere) {
  EXPECT_TRUE(ends_the_pod(9));
  EXPECT_TRUE(ends_the_pod(6));
  EXPECT_TRUE(ends_the_pod(8));
  EXPECT_FALSE(ends_the_pod(0));
  EXPECT_FALSE(ends_the_pod(10));  // one experiment that fails does not take the others with it
}

}  // namespace
}  // namespace mayfly
