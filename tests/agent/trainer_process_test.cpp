// Two trainers in one run directory, a trainer that holds a token, or one that nobody watches:
// each would go unnoticed until the bill or the adapter is wrong. Real processes.
#include "agent/trainer_process.h"

#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "agent/report.h"
#include "core/atomic_file.h"
#include "core/json.h"
#include "core/run/plan.h"
#include "core/spawn.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path kTrainer = std::filesystem::path(MAYFLY_BINARY_DIR) / "fake_trainer";

class TrainerProcessTest : public TemporaryFolder {
 protected:
  TrainerProcessTest() {
    for (const auto& folder : {run_.checkpoints(), run_.logs(), run_.agent()}) {
      EXPECT_TRUE(make_folders(folder));
    }
    plan_.run_id = "0123456789ab";
    plan_.offer.provider = "local";
    plan_.config.train.epochs = 100;
    write_plan();
  }
  ~TrainerProcessTest() override {
    TrainerProcess left(kTrainer, run_, "");
    left.adopt();
    left.send(SIGKILL);
  }
  void write_plan() {
    EXPECT_TRUE(write_file(run_.plan(), json_line(plan_to_json(plan_))));
  }
  static TrainerView wait_for_end(TrainerProcess& trainer) {
    TrainerView view = trainer.view();
    for (int i = 0; i < 2500 && view.kind == TrainerView::Kind::running; ++i) {
      std::this_thread::sleep_for(2ms);
      view = trainer.view();
    }
    return view;
  }
  bool wait_for_events() const {
    for (int i = 0; i < 2500; ++i) {
      if (std::filesystem::exists(run_.events())) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }

  RunDirectory run_{folder_};
  RunPlan plan_;
};

TEST_F(TrainerProcessTest, StartsStopsAndTellsHowItEnded) {
  ::setenv("HF_TOKEN", "hf_canary", 1);  // the fake trainer ends with 99 if it sees it
  TrainerProcess trainer(kTrainer, run_, "");
  EXPECT_EQ(trainer.view().kind, TrainerView::Kind::none);
  ASSERT_TRUE(trainer.start());
  EXPECT_EQ(trainer.view().kind, TrainerView::Kind::running);
  ASSERT_TRUE(wait_for_events());
  trainer.send(SIGTERM);
  const TrainerView view = wait_for_end(trainer);
  EXPECT_EQ(view.kind, TrainerView::Kind::exited);
  EXPECT_EQ(view.code, 0);
  ::unsetenv("HF_TOKEN");
}

// A shell stands in for the trainer: it writes down where its libraries are looked for.
TEST_F(TrainerProcessTest, FindsTheLibrariesThatWereInstalled) {
  const auto program = put("train", "#!/bin/sh\necho \"path=$LD_LIBRARY_PATH.\"\n");
  std::filesystem::permissions(program, std::filesystem::perms(0755));
  const auto said = [&] {
    TrainerProcess trainer(program, run_, "");
    EXPECT_TRUE(trainer.start());
    EXPECT_EQ(wait_for_end(trainer).code, 0);
    const auto text = read_file(run_.trainer_log());
    return text ? *text : "";
  };
  ::setenv("MAYFLY_ROOT", folder_.c_str(), 1);
  ::unsetenv("LD_LIBRARY_PATH");
  EXPECT_EQ(said(), "path=.\n");  // none were
  const auto libraries = folder_ / "var/lib/mayfly/runtime/torch/lib";
  std::filesystem::create_directories(libraries);
  EXPECT_THAT(said(), testing::EndsWith("path=" + libraries.string() + ".\n"));
  ::setenv("LD_LIBRARY_PATH", "/elsewhere", 1);
  EXPECT_THAT(said(), testing::EndsWith("path=" + libraries.string() + ":/elsewhere.\n"));
  ::unsetenv("LD_LIBRARY_PATH");
  ::unsetenv("MAYFLY_ROOT");
}

TEST_F(TrainerProcessTest, AKilledOneIsTold) {
  TrainerProcess trainer(kTrainer, run_, "");
  ASSERT_TRUE(trainer.start());
  trainer.send(SIGKILL);
  EXPECT_EQ(wait_for_end(trainer).code, 128 + SIGKILL);
}

TEST_F(TrainerProcessTest, ANewLifeOfTheAgentTakesOverTheTrainer) {
  TrainerProcess first(kTrainer, run_, "");
  ASSERT_TRUE(first.start());
  ASSERT_TRUE(wait_for_events());
  TrainerProcess second(kTrainer, run_, "");
  second.adopt();
  EXPECT_EQ(second.view().kind, TrainerView::Kind::running);
  second.send(SIGKILL);
  const TrainerView view = wait_for_end(second);
  EXPECT_EQ(view.kind, TrainerView::Kind::exited);
  EXPECT_FALSE(view.code);  // it was not its child
}

TEST_F(TrainerProcessTest, ATrainerOfAnotherRunIsNotTakenOver) {
  TrainerProcess first(kTrainer, run_, "");
  ASSERT_TRUE(first.start());
  ASSERT_TRUE(wait_for_events());
  TrainerProcess other(kTrainer, RunDirectory{folder_ / "other"}, "");
  other.adopt();
  EXPECT_EQ(other.view().kind, TrainerView::Kind::none);
}

TEST_F(TrainerProcessTest, AProgramThatIsNotThereCountsAsAnEnd) {
  TrainerProcess trainer(folder_ / "nothing", run_, "");
  EXPECT_FALSE(trainer.start());
  EXPECT_EQ(trainer.view().kind, TrainerView::Kind::exited);
  EXPECT_EQ(trainer.view().code, 127);
}

}  // namespace
}  // namespace mayfly
