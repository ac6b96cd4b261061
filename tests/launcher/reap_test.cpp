// Which machines the laptop destroys. Two mistakes cost: leaving one that nobody accounts for, and
// destroying one whose run goes on. So both sides of every edge, and the local list is never
// believed about what exists.
#include "launcher/reap.h"

#include <cstdlib>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/process_table.h"
#include "core/run/plan.h"
#include "launcher/make_plan.h"
#include "tests/fakes/fake_clock.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class ReapTest : public testing::Test {
 protected:
  ReapTest() {
    std::string name = (fs::temp_directory_path() / "reap_XXXXXX").string();
    folder = ::mkdtemp(name.data());
    plan.run_id = "aaaa11112222";
    plan.run_name = "one";
    plan.offer.provider = "fake";
    plan.offer.price = {dollars(36), 1s};
    plan.config.limits.spend_limit = dollars(36);  // an hour
    plan.config.limits.ttl_hours = 2;
    run.run_id = plan.run_id;
    run.name = "one";
    run.provider = "fake";
    run.progress = {LaunchStage::made, 1, "i-1"};
    run.price = plan.offer.price;
    run.spend_limit = plan.config.limits.spend_limit;
    run.plan = (folder / "plan.json").string();
    write_plan();
  }
  ~ReapTest() override {
    fs::remove_all(folder);
  }
  void write_plan() {
    ASSERT_TRUE(write_file(run.plan, json_text(plan_to_json(plan))));
  }
  Instance machine(const std::string& id, const std::string& run_id) const {
    Instance instance;
    instance.id = id;
    instance.run_id = run_id;
    instance.state = InstanceState::running;
    instance.created_at = begin;
    return instance;
  }
  std::vector<ReapItem> judged(const std::vector<Instance>& listed,
                               std::chrono::seconds after) const {
    return judge_machines("fake", listed, {run}, begin + after);
  }
  ReapVerdict verdict(const Instance& instance, std::chrono::seconds after) const {
    const auto items = judged({instance}, after);
    for (const ReapItem& item : items) {
      if (item.id == instance.id) return item.verdict;
    }
    ADD_FAILURE() << "the machine is not among them";
    return ReapVerdict::uncertain;
  }

  fs::path folder;
  RunPlan plan;
  KnownRun run;
  WallTime begin = FakeClock::kBegin;
};

TEST_F(ReapTest, KeepsAMachineUntilItsOwnLayersMustHaveEndedIt) {
  const auto fuse = fuse_of(plan);
  EXPECT_EQ(fuse, 1h + 5min);
  EXPECT_EQ(verdict(machine("i-1", run.run_id), fuse - 1s), ReapVerdict::ours);
  EXPECT_EQ(verdict(machine("i-1", run.run_id), fuse), ReapVerdict::destroy);
}

TEST_F(ReapTest, AnExtensionThatWasGrantedCounts) {
  run.spend_limit = dollars(60);
  EXPECT_EQ(gone_by(run, begin), begin + 100min + 5min);
  run.spend_limit = dollars(360);
  run.extra_minutes = 60;
  EXPECT_EQ(gone_by(run, begin), begin + 3h + 5min);
  // A list that was damaged to less than the plan does not kill a run early.
  run.spend_limit = dollars(1);
  EXPECT_EQ(gone_by(run, begin), begin + 1h + 5min);
}

TEST_F(ReapTest, AStrangerIsLeftAloneForHalfAnHour) {
  EXPECT_EQ(verdict(machine("i-9", "ffffffffffff"), 30min - 1s), ReapVerdict::young);
  EXPECT_EQ(verdict(machine("i-9", "ffffffffffff"), 30min), ReapVerdict::destroy);
}

TEST_F(ReapTest, BelievesTheListingAndNotTheList) {
  run.gone_at = begin + 1min;
  EXPECT_EQ(verdict(machine("i-1", run.run_id), 2min), ReapVerdict::destroy);
  run.gone_at.reset();
  run.never_created = true;
  EXPECT_EQ(verdict(machine("i-1", run.run_id), 2min), ReapVerdict::destroy);
}

TEST_F(ReapTest, ASecondMachineOfARunGoes) {
  EXPECT_EQ(verdict(machine("i-2", run.run_id), 1min), ReapVerdict::destroy);
  EXPECT_EQ(verdict(machine("i-1", run.run_id), 1min), ReapVerdict::ours);
  // Until it is known which one is the run's, none is taken away.
  run.progress = {LaunchStage::creating, 1, {}};
  EXPECT_EQ(verdict(machine("i-2", run.run_id), 1min), ReapVerdict::ours);
}

TEST_F(ReapTest, NamesARunWhoseMachineIsNotListed) {
  run.progress = {LaunchStage::creating, 1, {}};
  const auto items = judged({}, 1min);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].verdict, ReapVerdict::uncertain);
  EXPECT_EQ(items[0].run, "one");
  run.gone_at = begin;
  EXPECT_TRUE(judged({}, 1min).empty());
}

TEST_F(ReapTest, KeepsAMachineWhosePlanCannotBeRead) {
  fs::remove(run.plan);
  const auto items = judged({machine("i-1", run.run_id)}, 1000h);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].verdict, ReapVerdict::ours);
  EXPECT_NE(items[0].why.find("cannot be read"), std::string::npos);
  // And another run's plan says nothing about it.
  plan.run_id = "bbbb11112222";
  write_plan();
  EXPECT_EQ(gone_by(run, begin), std::nullopt);
}

TEST_F(ReapTest, WhatIsGoneIsNotListedAndTerminatingOnesAreAskedAgain) {
  Instance instance = machine("i-9", "ffffffffffff");
  instance.state = InstanceState::gone;
  for (const ReapItem& item : judged({instance}, 10h)) EXPECT_NE(item.id, "i-9");
  instance.state = InstanceState::terminating;
  EXPECT_EQ(verdict(instance, 10h), ReapVerdict::destroy);
}

// Between its making and its setting up a rented machine has nothing that ends it at some clouds.
TEST_F(ReapTest, EndsWhatWasNeverSetUpOnceItsLaunchIsDead) {
  run.provider = "lambda";
  const auto one = [&] {
    return judge_machines("lambda", {machine("i-1", run.run_id)}, {run}, begin + 60s)
        .front()
        .verdict;
  };
  run.launcher = process_mark(::getpid());
  EXPECT_EQ(one(), ReapVerdict::ours);  // it is being set up by this process
  run.launcher = "1 1 another-boot";
  EXPECT_EQ(one(), ReapVerdict::destroy);
  run.address = "ubuntu@192.0.2.7:22";
  EXPECT_EQ(one(), ReapVerdict::ours);  // it has its agent
}

}  // namespace
}  // namespace mayfly
