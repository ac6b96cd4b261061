// A run that this list forgets is a machine that bills unseen. So: two writers at once, a file cut
// short, both files damaged, and a name that is taken.
#include "launcher/state_file.h"

#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/atomic_file.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;

class StateFileTest : public testing::Test {
 protected:
  StateFileTest() {
    std::string name = (fs::temp_directory_path() / "state_file_XXXXXX").string();
    folder = ::mkdtemp(name.data());
    file = folder / "state" / "runs.json";
  }
  ~StateFileTest() override {
    fs::remove_all(folder);
  }
  static KnownRun run(const std::string& id, const std::string& name) {
    KnownRun run;
    run.run_id = id;
    run.name = name;
    run.provider = "local";
    run.created_at = WallTime(std::chrono::milliseconds(1795357931482));
    run.run_dir = "/runs/" + name;
    return run;
  }
  fs::path folder, file;
};

TEST_F(StateFileTest, HasNoRunsWhenThereIsNoFileAndMakesNone) {
  const auto runs = StateFile(file).runs();
  ASSERT_TRUE(runs);
  EXPECT_TRUE(runs->empty());
  EXPECT_FALSE(fs::exists(file.parent_path()));
}

TEST_F(StateFileTest, ReadsBackWhatWasWritten) {
  StateFile state(file);
  KnownRun written = run("aaaa11112222", "one");
  written.progress = {LaunchStage::made, 2, "i-7"};
  written.plan = "/p.json";
  written.price = {cents(1250), std::chrono::seconds(60)};
  written.spend_limit = cents(275);
  written.hub_endpoint = "http://127.0.0.1:1";
  written.hub_repo = "local/one";
  ASSERT_TRUE(state.add(written));
  ASSERT_TRUE(state.update("aaaa11112222", [](KnownRun& entry) {
    entry.gone_at = WallTime(std::chrono::milliseconds(1795357999001));
    entry.stop_reason = "spend";
  }));

  const auto runs = StateFile(file).runs();
  ASSERT_TRUE(runs);
  ASSERT_EQ(runs->size(), 1U);
  const KnownRun& read = runs->front();
  EXPECT_EQ(read.name, "one");
  EXPECT_EQ(read.progress.stage, LaunchStage::made);
  EXPECT_EQ(read.progress.attempt, 2);
  EXPECT_EQ(read.progress.id, "i-7");
  EXPECT_EQ(read.created_at, written.created_at);
  EXPECT_EQ(read.gone_at, WallTime(std::chrono::milliseconds(1795357999001)));
  EXPECT_EQ(read.stop_reason, "spend");
  EXPECT_EQ(read.hub_repo, "local/one");
  EXPECT_EQ(read.plan, "/p.json");
  EXPECT_EQ(read.price.per_hour, cents(1250));
  EXPECT_EQ(read.price.billing_step, std::chrono::seconds(60));
  EXPECT_EQ(read.spend_limit, cents(275));
  struct stat about {};
  ASSERT_EQ(::stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
}

TEST_F(StateFileTest, RefusesANameThatMayStillBeBilling) {
  StateFile state(file);
  ASSERT_TRUE(state.add(run("aaaa11112222", "one")));
  const Status again = state.add(run("bbbb11112222", "one"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::guard);
  ASSERT_TRUE(state.update("aaaa11112222", [](KnownRun& entry) { entry.gone_at = WallTime(); }));
  EXPECT_TRUE(state.add(run("bbbb11112222", "one")));
}

TEST_F(StateFileTest, GoesOnFromTheBackupWhenTheFileIsCutShort) {
  StateFile state(file);
  ASSERT_TRUE(state.add(run("aaaa11112222", "one")));
  ASSERT_TRUE(state.add(run("bbbb11112222", "two")));
  const auto text = read_file(file);
  ASSERT_TRUE(text);
  std::ofstream(file) << text->substr(0, text->size() / 2);

  auto runs = state.runs();
  ASSERT_TRUE(runs);
  ASSERT_EQ(runs->size(), 1U);
  EXPECT_EQ(runs->front().name, "one");

  // Writing heals the file and does not put the damaged one in the backup's place.
  ASSERT_TRUE(state.add(run("cccc11112222", "three")));
  EXPECT_EQ(state.runs()->size(), 2U);
}

TEST_F(StateFileTest, DoesNotSayThereAreNoRunsWhenBothFilesAreDamaged) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << "{";
  std::ofstream(file.string() + ".bak") << "";
  const auto runs = StateFile(file).runs();
  ASSERT_FALSE(runs);
  EXPECT_EQ(runs.error().kind, ErrorKind::corrupt);
  EXPECT_FALSE(StateFile(file).add(run("aaaa11112222", "one")));
}

TEST_F(StateFileTest, LosesNoEntryWhenFourWriteAtOnce) {
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 5; ++i) {
        const std::string id = std::to_string(writer) + "-" + std::to_string(i);
        EXPECT_TRUE(StateFile(file).add(run(id, "run-" + id)));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(StateFile(file).runs()->size(), 20U);
}

TEST_F(StateFileTest, FindsByNameAndByTheBeginningOfAnId) {
  const std::vector<KnownRun> runs = {run("aaaa11112222", "one"), run("aaab11112222", "one"),
                                      run("cccc11112222", "two")};
  EXPECT_EQ(find_run(runs, "one")->run_id, "aaab11112222");
  EXPECT_EQ(find_run(runs, "cccc")->name, "two");
  EXPECT_EQ(find_run(runs, "aaa").error().kind, ErrorKind::not_found);
  EXPECT_EQ(find_run(runs, "three").error().hint, "there are: one one two");
  const std::vector<KnownRun> alike = {run("aaaa11112222", "one"), run("aaaa33332222", "two")};
  EXPECT_EQ(find_run(alike, "aaaa").error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace mayfly
