// What every provider must do, whatever its vendor's API looks like: rent one machine or none,
// never two, leave nothing behind, and give its key to nobody else. Each case runs against each
// vendor's fake over real HTTP; only time is virtual.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/clouds/rig.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

class ConformanceTest : public testing::TestWithParam<std::string> {
 protected:
  static const CloudKind& kind() {
    for (const CloudKind& kind : cloud_kinds()) {
      if (kind.name == GetParam()) return kind;
    }
    throw std::logic_error(GetParam());
  }
  // The fault at the next create calls.
  void at_create(Harm harm, FakeAnswer answer = {}, int times = 1) {
    rig_.cloud->inject({Op::create, harm, std::move(answer), times});
  }
  int creates() {
    return rig_.cloud->count(Op::create);
  }
  std::size_t made() {
    return rig_.cloud->fleet.all().size();
  }
  // Destroys what carries our tag, as `launch reap` does.
  void reap() {
    const auto ours = rig_.provider->list_ours();
    ASSERT_TRUE(ours) << ours.error().message;
    for (const Instance& instance : *ours) {
      EXPECT_TRUE(destroy_until_gone(*rig_.provider, instance.id, rig_.clock, kDestroyPatience));
    }
  }
  Result<Instance> rented() {
    Result<Instance> instance = rig_.rent_one();
    EXPECT_TRUE(instance) << instance.error().message;
    return instance;
  }
  // With what is billed beside the machine.
  Usd all_in(Usd machine) const {
    return Usd{machine.micros + kind().beside.micros};
  }

  Rig rig_{kind()};
};

TEST_P(ConformanceTest, RentsOneMachineAndEndsIt) {
  const auto offers = rig_.offers();
  ASSERT_GE(offers.size(), 3U);
  EXPECT_EQ(offers.front().price.per_hour, all_in(cents(129)));
  EXPECT_EQ(offers.front().gpu, "A100");
  EXPECT_EQ(offers.back().price.per_hour, all_in(cents(3192)));
  EXPECT_EQ(offers.back().gpu, "H100");
  EXPECT_EQ(offers.back().gpu_count, 8);
  EXPECT_EQ(offers.back().vram_gb, 80);

  const auto instance = rented();
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->state, InstanceState::running);
  EXPECT_EQ(instance->run_id, "0123456789ab");
  EXPECT_FALSE(instance->address.empty());
  EXPECT_FALSE(instance->ssh_user.empty());
  EXPECT_EQ(instance->price.per_hour, all_in(cents(129)));
  EXPECT_EQ(creates(), 1);

  const Status gone =
      destroy_until_gone(*rig_.provider, instance->id, rig_.clock, kDestroyPatience);
  EXPECT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(rig_.cloud->fleet.billing(), 0);
  EXPECT_LT(rig_.cloud->fleet.bill(), cents(20));
}

TEST_P(ConformanceTest, GoesOnToTheNextOfferWithoutCapacity) {
  at_create(Harm::answer_instead, rig_.cloud->no_capacity(), 2);
  const auto offers = rig_.offers();
  const auto instance = rented();
  ASSERT_TRUE(instance);
  EXPECT_EQ(creates(), 3);
  EXPECT_EQ(made(), 1U);
  EXPECT_EQ(rig_.cloud->fleet.all().front().per_hour, offers[2].price.per_hour);
  EXPECT_EQ(rig_.cloud->fleet.all().front().region, offers[2].region);
}

TEST_P(ConformanceTest, AdoptsTheMachineWhoseAnswerWasLost) {
  at_create(Harm::close_after);
  ASSERT_TRUE(rented());
  EXPECT_EQ(creates(), 1);
  EXPECT_EQ(made(), 1U);
}

TEST_P(ConformanceTest, WaitsForAMachineThatIsListedLate) {
  rig_.cloud->fleet.hidden_for = 45s;
  at_create(Harm::close_after);
  ASSERT_TRUE(rented());
  EXPECT_EQ(creates(), 1);
  EXPECT_EQ(made(), 1U);
}

TEST_P(ConformanceTest, AsksAgainAfterAFaultOnlyWhereThatIsSafe) {
  at_create(Harm::answer_instead, {500, R"({"message":"internal"})"});
  const auto instance = rig_.rent_one();
  if (rig_.provider->traits().same_create_is_safe) {
    ASSERT_TRUE(instance) << instance.error().message;
    EXPECT_EQ(creates(), 2);
  } else {
    ASSERT_FALSE(instance);
    EXPECT_EQ(instance.error().kind, ErrorKind::outcome_unknown);
    EXPECT_NE(instance.error().hint.find(rig_.provider->traits().console_url), std::string::npos);
    EXPECT_EQ(creates(), 1);
    EXPECT_EQ(rig_.journal.kept.stage, LaunchStage::creating);
  }
}

TEST_P(ConformanceTest, WaitsWhenTheVendorIsBusy) {
  at_create(Harm::answer_instead, rig_.cloud->busy(30));
  ASSERT_TRUE(rented());
  EXPECT_EQ(creates(), 2);
  EXPECT_EQ(made(), 1U);
  EXPECT_EQ(rig_.journal.kept.attempt, 1);
  const auto journal = rig_.cloud->journal();
  std::vector<WallTime> times;
  for (const FakeRequest& line : journal) {
    if (line.op == Op::create) times.push_back(line.at);
  }
  EXPECT_GE(times[1] - times[0], 30s);
}

TEST_P(ConformanceTest, WaitsWhenTheVendorIsBusyWithoutSayingForHowLong) {
  at_create(Harm::answer_instead, rig_.cloud->busy(0), 3);
  rig_.cloud->inject({Op::get, Harm::answer_instead, rig_.cloud->busy(0), 3});
  rig_.cloud->inject({Op::list, Harm::answer_instead, rig_.cloud->busy(20), 2});
  ASSERT_TRUE(rented());
  EXPECT_EQ(made(), 1U);
}

TEST_P(ConformanceTest, StopsAtOnceWithoutFunds) {
  at_create(Harm::answer_instead, rig_.cloud->no_funds());
  const auto instance = rig_.rent_one();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::refused) << instance.error().message;
  EXPECT_EQ(creates(), 1);
  EXPECT_EQ(made(), 0U);
}

TEST_P(ConformanceTest, StopsAtOnceWhenTheKeyIsRefused) {
  const auto offers = rig_.offers();
  const auto stranger = rig_.client("another-key");
  const auto instance = rent(*stranger, rig_.spec(), offers, {}, rig_.journal, rig_.clock, {});
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::unauthorized) << instance.error().message;
  EXPECT_LE(creates(), 1);
  EXPECT_EQ(made(), 0U);
  EXPECT_EQ(instance.error().message.find("another-key"), std::string::npos);
}

TEST_P(ConformanceTest, DestroysWhatNeverBecomesReady) {
  rig_.cloud->fleet.fates = {Fate::stays_pending};
  ASSERT_TRUE(rented());
  EXPECT_EQ(made(), 2U);
  EXPECT_EQ(rig_.cloud->fleet.billing(), 1);
  EXPECT_NE(rig_.cloud->fleet.all()[0].region + rig_.cloud->fleet.all()[0].type,
            rig_.cloud->fleet.all()[1].region + rig_.cloud->fleet.all()[1].type);
}

TEST_P(ConformanceTest, DestroysWhatFails) {
  rig_.cloud->fleet.fates = {Fate::fails, Fate::vanishes};
  ASSERT_TRUE(rented());
  EXPECT_EQ(made(), 3U);
  EXPECT_EQ(rig_.cloud->fleet.billing(), 1);
}

TEST_P(ConformanceTest, StopsWhenTheFailedMachineCannotBeDestroyed) {
  rig_.cloud->fleet.fates = {Fate::fails};
  rig_.cloud->fleet.lost_ends = 1000;
  const auto instance = rig_.rent_one();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::outcome_unknown);
  EXPECT_NE(instance.error().hint.find("m-1"), std::string::npos) << instance.error().hint;
  EXPECT_EQ(creates(), 1);
}

// After a kill at any moment, and a second life that goes on, there is never more than one machine,
// and the end is one of two: a machine that is known and can be reaped, or an uncertain one.
TEST_P(ConformanceTest, LeavesNothingBehindWhereverItIsKilled) {
  int killed = 0;
  for (int die_at = 0; die_at < 300; ++die_at) {
    Rig rig(kind());
    rig.cloud->fleet.boot_takes = 15s;
    const auto offers = rig.offers();
    rig.fate = {die_at, 0};
    bool died = false;
    try {
      const auto first = rent(*rig.provider, rig.spec(), offers, {}, rig.journal, rig.clock, {});
      EXPECT_TRUE(first);
    } catch (const Killed&) {
      died = true;
    }
    EXPECT_LE(rig.cloud->fleet.billing(), 1) << "killed at " << die_at;
    if (!died) break;
    ++killed;
    const LaunchProgress before = rig.journal.kept;
    const auto second =
        rent(*rig.provider, rig.spec(), offers, before, rig.journal, rig.clock, RentPatience{});
    EXPECT_LE(rig.cloud->fleet.billing(), 1) << "killed at " << die_at;
    if (!second) {
      EXPECT_EQ(second.error().kind, ErrorKind::outcome_unknown) << second.error().message;
      EXPECT_EQ(before.stage, LaunchStage::creating);
    }
    const auto ours = rig.provider->list_ours();
    ASSERT_TRUE(ours);
    for (const Instance& instance : *ours) {
      EXPECT_TRUE(destroy_until_gone(*rig.provider, instance.id, rig.clock, kDestroyPatience));
    }
    EXPECT_EQ(rig.cloud->fleet.billing(), 0) << "killed at " << die_at;
  }
  EXPECT_GE(killed, 8);
}

TEST_P(ConformanceTest, AsksForTheEndUntilItComes) {
  const auto instance = rented();
  ASSERT_TRUE(instance);
  rig_.cloud->fleet.lost_ends = 3;
  EXPECT_TRUE(destroy_until_gone(*rig_.provider, instance->id, rig_.clock, kDestroyPatience));
  EXPECT_GE(rig_.cloud->count(Op::terminate), 4);
  EXPECT_EQ(rig_.cloud->fleet.billing(), 0);
}

TEST_P(ConformanceTest, OutlastsANetworkThatIsDown) {
  const auto instance = rented();
  ASSERT_TRUE(instance);
  rig_.cloud->be_down_for(300s);
  DestroyPatience brief = kDestroyPatience;
  brief.give_up_after = 60s;
  const Status early = destroy_until_gone(*rig_.provider, instance->id, rig_.clock, brief);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind, ErrorKind::unreachable) << early.error().message;
  EXPECT_TRUE(destroy_until_gone(*rig_.provider, instance->id, rig_.clock, kDestroyPatience));
  EXPECT_EQ(rig_.cloud->fleet.billing(), 0);
}

TEST_P(ConformanceTest, EndsTwiceWithoutHarm) {
  const auto instance = rented();
  ASSERT_TRUE(instance);
  EXPECT_TRUE(destroy_until_gone(*rig_.provider, instance->id, rig_.clock, kDestroyPatience));
  EXPECT_TRUE(destroy_until_gone(*rig_.provider, instance->id, rig_.clock, kDestroyPatience));
  EXPECT_TRUE(destroy_until_gone(*rig_.provider, "never-was", rig_.clock, kDestroyPatience));
}

TEST_P(ConformanceTest, DestroysWhatDoesNotKeepItsLimits) {
  const ProviderTraits traits = rig_.provider->traits();
  rig_.cloud->fleet.forgets_limits = true;
  const auto instance = rig_.rent_one();
  if (!traits.keeps_end_time && !traits.keeps_spend_cap && !traits.power_off_ends_billing) {
    EXPECT_TRUE(instance);  // nothing to keep: the machine's own fuse is all there is
    return;
  }
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::refused);
  EXPECT_NE(instance.error().message.find("did not keep"), std::string::npos);
  EXPECT_EQ(creates(), 1);
  EXPECT_EQ(rig_.cloud->fleet.billing(), 0);
}

TEST_P(ConformanceTest, ReadsNoNonsense) {
  const std::string deep = std::string(100'000, '[');
  const std::vector<FakeAnswer> nonsense = {{200, "{\"instances\":[{"},
                                            {200, "<html><body>Bad Gateway</body></html>"},
                                            {200, ""},
                                            {200, "null"},
                                            {200, "[]"},
                                            {200, "{}"},
                                            {200, deep},
                                            {200, std::string(20 << 20, ' ') + "{}"}};
  for (const FakeAnswer& answer : nonsense) {
    const std::string shown = answer.body.substr(0, 30);
    rig_.cloud->inject({Op::offers, Harm::answer_instead, answer});
    const auto offers = rig_.provider->offers();
    // An empty list in the vendor's form is a list.
    EXPECT_TRUE(!offers || offers->empty()) << shown;
    rig_.cloud->inject({Op::list, Harm::answer_instead, answer});
    const auto listed = rig_.provider->find_run("0123456789ab");
    if (answer.body != "[]") {
      ASSERT_FALSE(listed) << shown;
      EXPECT_EQ(listed.error().kind, ErrorKind::corrupt) << listed.error().message;
    }
  }
  const auto instance = rented();
  ASSERT_TRUE(instance);
  for (const FakeAnswer& answer : nonsense) {
    // Of a machine that costs money no nonsense may say that it is gone.
    rig_.cloud->inject({Op::get, Harm::answer_instead, answer});
    const Result<bool> gone = is_gone(*rig_.provider, instance->id);
    EXPECT_FALSE(gone && *gone) << answer.body.substr(0, 30);
  }
}

TEST_P(ConformanceTest, TakesNonsenseAfterACreateAsUnknown) {
  for (const char* body : {"", "<html>", "{}", "{\"data\":{}}"}) {
    Rig rig(kind());
    rig.cloud->inject({Op::create, Harm::answer_after, {200, body}});
    const auto instance = rig.rent_one();
    EXPECT_TRUE(instance) << body << ": " << instance.error().message;
    EXPECT_EQ(rig.cloud->fleet.billing(), 1) << body;
  }
}

TEST_P(ConformanceTest, EndsASlowAnswer) {
  rig_.cloud->inject({Op::offers, Harm::drip, {}, 100});
  // Real time passes here: one second, and no second try.
  const auto offers = rig_.client(FakeCloud::kKey, 0s)->offers();
  ASSERT_FALSE(offers);
  EXPECT_EQ(offers.error().kind, ErrorKind::unreachable) << offers.error().message;
}

TEST_P(ConformanceTest, GivesItsKeyToNoOtherHost) {
  VirtualClock clock;
  const auto elsewhere = kind().fake(clock);
  elsewhere->start();
  for (const int status : {301, 302, 307, 308}) {
    for (const Op op : {Op::offers, Op::list, Op::create}) {
      rig_.cloud->inject(
          {op, Harm::answer_instead, {status, "", {{"Location", elsewhere->endpoint() + "/"}}}});
    }
    EXPECT_FALSE(rig_.provider->offers());
    EXPECT_FALSE(rig_.provider->list_ours());
    const auto offers = rig_.offers();
    ASSERT_FALSE(offers.empty());
    InstanceSpec spec = rig_.spec();
    spec.offer = offers.front();
    EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::refused);
  }
  EXPECT_TRUE(elsewhere->journal().empty());
}

TEST_P(ConformanceTest, ShowsItsKeyNowhere) {
  rig_.cloud->inject({Op::list, Harm::answer_instead, {400, "bad"}});
  const auto failed = rig_.provider->list_ours();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message.find(FakeCloud::kKey), std::string::npos);
  ASSERT_TRUE(rented());
  for (const FakeRequest& line : rig_.cloud->journal()) {
    EXPECT_EQ(line.path.find(FakeCloud::kKey), std::string::npos);
    EXPECT_EQ(line.body.find(FakeCloud::kKey), std::string::npos);
  }
}

TEST_P(ConformanceTest, ReapsOnlyWhatIsOurs) {
  ASSERT_TRUE(rented());
  Machine& stranger = rig_.cloud->fleet.add(rig_.cloud->types.front(), "r1");
  stranger.name = "someone-else";
  stranger.notes["tags"] = "[]";
  reap();
  EXPECT_EQ(rig_.cloud->fleet.billing(), 1);
  EXPECT_FALSE(rig_.cloud->fleet.all().back().end_asked);
}

INSTANTIATE_TEST_SUITE_P(Clouds, ConformanceTest, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const CloudKind& kind : cloud_kinds()) names.push_back(kind.name);
                           return names;
                         }()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace mayfly
