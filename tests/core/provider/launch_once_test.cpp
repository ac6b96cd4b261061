// Two machines for one run, or one that nobody remembers, cost money until somebody looks. So the
// launcher is killed here before and after every single step it takes, answers get lost in both
// directions, and afterwards the cloud is counted.
#include "core/provider/launch_once.h"

#include <set>

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::chrono_literals;

struct Killed {};

class TestClock final : public Clock {
 public:
  WallTime now() override {
    return WallTime(elapsed);
  }
  SteadyTime steady_now() override {
    return SteadyTime(elapsed);
  }
  void sleep_for(std::chrono::milliseconds duration) override {
    elapsed += duration;
  }
  std::chrono::milliseconds elapsed{0};
};

// Dies at the given moment; counts the moments there were.
struct Fate {
  int die_at = -1;
  int moments = 0;
  void moment() {
    if (moments++ == die_at) throw Killed{};
  }
};

// A cloud that remembers what was really made.
class TestCloud final : public Provider {
 public:
  TestCloud(TestClock& clock, Fate& fate) : clock_(clock), fate_(fate) {}

  std::string name() const override {
    return "test";
  }
  Result<std::vector<Offer>> offers() override {
    return std::vector<Offer>{};
  }
  CreateOutcome create(const InstanceSpec& spec) override {
    fate_.moment();
    const std::size_t call = static_cast<std::size_t>(creates++);
    const Answer answer = call < answers.size() ? answers[call] : Answer::made;
    CreateOutcome outcome{CreateOutcome::Kind::made, {}, {ErrorKind::internal, ""}};
    if (answer == Answer::no_capacity || answer == Answer::refused) {
      outcome.kind = CreateOutcome::Kind::refused;
      outcome.error = {answer == Answer::refused ? ErrorKind::refused : ErrorKind::no_capacity,
                       "no"};
    } else {
      if (answer != Answer::lost_before) outcome.id = make(spec.run_id);
      if (answer != Answer::made) {
        outcome = {CreateOutcome::Kind::unknown, {}, {ErrorKind::outcome_unknown, "lost"}};
      }
    }
    fate_.moment();
    return outcome;
  }
  Result<std::vector<Instance>> list_ours() override {
    return find_run("run");
  }
  Result<std::vector<Instance>> find_run(const std::string& run_id) override {
    fate_.moment();
    if (listing_broken) return Error{ErrorKind::unreachable, "503"};
    std::vector<Instance> found;
    for (const Instance& instance : machines) {
      const bool shown = clock_.elapsed >= instance.created_at.time_since_epoch() + listing_lag;
      if (instance.run_id == run_id && shown && ended.count(instance.id) == 0) {
        found.push_back(instance);
      }
    }
    return found;
  }
  Result<Instance> get(const InstanceId& id) override {
    fate_.moment();
    for (const Instance& instance : machines) {
      if (instance.id == id) return instance;
    }
    return Error{ErrorKind::not_found, "no " + id};
  }
  Status terminate(const InstanceId& id) override {
    fate_.moment();
    ended.insert(id);
    return Unit{};
  }

  InstanceId make(const std::string& run_id) {
    Instance instance;
    instance.id = "i-" + std::to_string(machines.size() + 1);
    instance.run_id = run_id;
    instance.state = InstanceState::running;
    instance.created_at = clock_.now();
    machines.push_back(instance);
    return instance.id;
  }
  std::size_t alive() const {
    return machines.size() - ended.size();
  }

  enum class Answer { made, no_capacity, refused, lost_after, lost_before };
  std::vector<Answer> answers;
  std::vector<Instance> machines;
  std::set<InstanceId> ended;
  std::chrono::milliseconds listing_lag{0};
  bool listing_broken = false;
  int creates = 0;

 private:
  TestClock& clock_;
  Fate& fate_;
};

class TestJournal final : public LaunchJournal {
 public:
  explicit TestJournal(Fate& fate) : fate_(fate) {}
  Status write(const LaunchProgress& progress) override {
    fate_.moment();
    if (broken) return Error{ErrorKind::no_space, "disk full"};
    kept = progress;
    fate_.moment();
    return Unit{};
  }
  LaunchProgress kept;
  bool broken = false;

 private:
  Fate& fate_;
};

struct World {
  TestClock clock;
  Fate fate;
  TestCloud cloud{clock, fate};
  TestJournal journal{fate};
  std::vector<Offer> offers = {Offer{}, Offer{}};

  Result<Instance> launch() {
    InstanceSpec spec;
    spec.run_id = "run";
    return launch_once(cloud, spec, offers, journal.kept, journal, clock, kLaunchPatience);
  }
};

using Answer = TestCloud::Answer;

TEST(LaunchOnceTest, MakesOneMachineAndNotesIt) {
  World world;
  const auto made = world.launch();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->id, "i-1");
  EXPECT_EQ(world.journal.kept.stage, LaunchStage::made);
  EXPECT_EQ(world.journal.kept.id, "i-1");
  EXPECT_EQ(world.clock.elapsed, 0ms);
}

TEST(LaunchOnceTest, AsksNothingWhenTheIntentCannotBeNoted) {
  World world;
  world.journal.broken = true;
  const auto made = world.launch();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::no_space);
  EXPECT_EQ(world.cloud.creates, 0);
}

TEST(LaunchOnceTest, TriesTheNextOfferWhenThereIsNoCapacity) {
  World world;
  world.cloud.answers = {Answer::no_capacity, Answer::made};
  ASSERT_TRUE(world.launch());
  EXPECT_EQ(world.cloud.creates, 2);
  EXPECT_EQ(world.journal.kept.attempt, 2);
}

TEST(LaunchOnceTest, SaysNoCapacityWhenNoOfferHasAny) {
  World world;
  world.cloud.answers = {Answer::no_capacity, Answer::no_capacity};
  const auto made = world.launch();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::no_capacity);
  EXPECT_EQ(world.journal.kept.stage, LaunchStage::planned);
}

TEST(LaunchOnceTest, DoesNotGoOnToOtherOffersWhenRefused) {
  World world;
  world.cloud.answers = {Answer::refused};
  const auto made = world.launch();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::refused);
  EXPECT_EQ(world.cloud.creates, 1);
}

TEST(LaunchOnceTest, AdoptsTheMachineWhoseAnswerWasLost) {
  World world;
  world.cloud.answers = {Answer::lost_after};
  world.cloud.listing_lag = 20s;
  const auto made = world.launch();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->id, "i-1");
  EXPECT_EQ(world.cloud.creates, 1);
  EXPECT_EQ(world.journal.kept.id, "i-1");
}

TEST(LaunchOnceTest, AsksAgainOnlyAfterHavingLookedForLongEnough) {
  World world;
  world.cloud.answers = {Answer::lost_before, Answer::made};
  ASSERT_TRUE(world.launch());
  EXPECT_EQ(world.cloud.creates, 2);
  EXPECT_GE(world.clock.elapsed, kLaunchPatience.look_for);
  EXPECT_EQ(world.cloud.alive(), 1U);
}

TEST(LaunchOnceTest, AsksNothingFurtherWhenItCannotLook) {
  World world;
  world.cloud.answers = {Answer::lost_after};
  world.cloud.listing_broken = true;
  const auto made = world.launch();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::outcome_unknown);
  EXPECT_EQ(world.cloud.creates, 1);
  EXPECT_EQ(world.journal.kept.stage, LaunchStage::creating);
}

TEST(LaunchOnceTest, KeepsTheOldestOfTwoAndEndsTheOther) {
  World world;
  world.journal.kept = {LaunchStage::creating, 1, {}};
  world.cloud.make("run");
  world.clock.elapsed = 1s;
  world.cloud.make("run");
  const auto made = world.launch();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->id, "i-1");
  EXPECT_EQ(world.cloud.ended, std::set<InstanceId>{"i-2"});
  EXPECT_EQ(world.cloud.creates, 0);
}

TEST(LaunchOnceTest, DoesNotMakeAnotherWhenTheMachineHasBeenAndGone) {
  World world;
  world.journal.kept = {LaunchStage::made, 1, "i-1"};
  const auto made = world.launch();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::not_found);
  EXPECT_EQ(world.cloud.creates, 0);
}

// Killed before or after every step, with every way of answering: the second life ends with one
// machine, and knows it.
TEST(LaunchOnceTest, NeverLeavesTwoMachinesWhereverItIsKilled) {
  const std::vector<std::vector<Answer>> stories = {{Answer::made},
                                                    {Answer::lost_after},
                                                    {Answer::lost_before, Answer::made},
                                                    {Answer::no_capacity, Answer::made},
                                                    {Answer::no_capacity, Answer::lost_after}};
  int killed = 0;
  for (std::size_t story = 0; story < stories.size(); ++story) {
    for (int die_at = 0; die_at < 200; ++die_at) {
      World world;
      world.cloud.answers = stories[story];
      world.cloud.listing_lag = 30s;
      world.fate.die_at = die_at;
      bool died = false;
      try {
        ASSERT_TRUE(world.launch());
      } catch (const Killed&) {
        died = true;
      }
      EXPECT_LE(world.cloud.alive(), 1U) << "story " << story << ", killed at " << die_at;
      if (!died) break;
      ++killed;
      const auto second = world.launch();
      ASSERT_TRUE(second) << "story " << story << ", killed at " << die_at << ": "
                          << second.error().message;
      EXPECT_EQ(world.cloud.alive(), 1U) << "story " << story << ", killed at " << die_at;
      EXPECT_EQ(world.journal.kept.id, second->id);
      EXPECT_EQ(world.cloud.ended.size(), 0U);
    }
  }
  EXPECT_GT(killed, 30);
}

}  // namespace
}  // namespace mayfly
