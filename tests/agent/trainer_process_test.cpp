// Two trainers in one run directory, a trainer that holds a token, or one that nobody watches:
// each would go unnoticed until the bill or the adapter is wrong. Real processes.
#include "agent/trainer_process.h"

#include <csignal>
#include <fstream>
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

// A group of processes that may have 32 MB, in either version of the kernel's interface.
class SmallMemory {
 public:
  SmallMemory() {
    const std::filesystem::path root = "/sys/fs/cgroup";
    const bool first = std::filesystem::exists(root / "memory/memory.limit_in_bytes");
    group_ = root / (first ? "memory" : "") / ("mayfly-test-" + std::to_string(::getpid()));
    std::error_code code;
    std::filesystem::create_directory(group_, code);
    std::ofstream(group_ / (first ? "memory.limit_in_bytes" : "memory.max"))
        << (32 << 20) << std::flush;
    const auto limit = read_file(group_ / (first ? "memory.limit_in_bytes" : "memory.max"));
    is_there_ = limit && limit->starts_with("33554432");
  }
  ~SmallMemory() {
    std::error_code code;
    std::filesystem::remove(group_, code);
  }
  bool is_there() const {
    return is_there_;
  }
  std::string members() const {
    return (group_ / "cgroup.procs").string();
  }

 private:
  std::filesystem::path group_;
  bool is_there_ = false;
};

TEST_F(TrainerProcessTest, OneThatTheKernelKilledForItsMemoryIsToldFromOthers) {
  const SmallMemory group;
  if (!group.is_there()) GTEST_SKIP() << "no group with a limit of memory can be made here";
  const auto ends = [&](const std::string& what) {
    const auto program = put("train", "#!/bin/sh\n" + what + "\n");
    std::filesystem::permissions(program, std::filesystem::perms(0755));
    TrainerProcess trainer(program, run_, "");
    EXPECT_TRUE(trainer.start());
    return wait_for_end(trainer);
  };
  const TrainerView killed = ends("kill -9 $$");
  EXPECT_EQ(killed.code, 128 + SIGKILL);
  EXPECT_FALSE(killed.memory_ran_out);
  const TrainerView greedy = ends("echo $$ > " + group.members() +
                                  " && exec tail /dev/zero");  // which keeps the last line
  EXPECT_EQ(greedy.code, 128 + SIGKILL);
  EXPECT_TRUE(greedy.memory_ran_out);
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
