// What is Lambda's own: a limiter for the whole account, no time of creation, no limits on the
// vendor's side, and machines that cannot be ended while they start.
#include "core/provider/lambda.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/clouds/fake_lambda.h"
#include "tests/clouds/rig.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class LambdaTest : public testing::Test {
 protected:
  FakeLambda& fake() {
    return dynamic_cast<FakeLambda&>(*rig_.cloud);
  }
  std::vector<FakeRequest> creates() {
    std::vector<FakeRequest> lines;
    for (const FakeRequest& line : fake().journal()) {
      if (line.op == Op::create) lines.push_back(line);
    }
    return lines;
  }
  Rig rig_{cloud_kinds().at(1)};
};

TEST_F(LambdaTest, KeepsTheVendorsPaceByItself) {
  rig_.cloud->inject({Op::create, Harm::answer_instead, fake().no_capacity(), 2});
  ASSERT_TRUE(rig_.rent_one());
  const auto lines = creates();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_GE(lines[1].at - lines[0].at, 12s);
  EXPECT_GE(lines[2].at - lines[1].at, 12s);
  EXPECT_EQ(fake().limited, 0);
}

// The limit is the account's: another program may have used it up.
TEST_F(LambdaTest, WaitsWhenSomebodyElseUsedTheAccount) {
  const auto offers = rig_.offers();
  InstanceSpec spec = rig_.spec();
  spec.offer = offers.front();
  ASSERT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::made);
  const auto other = rig_.client(FakeCloud::kKey);
  const auto instance =
      rent(*other, rig_.spec("ba9876543210"), offers, {}, rig_.journal, rig_.clock, {});
  ASSERT_TRUE(instance) << instance.error().message;
  EXPECT_GT(fake().limited, 0);
  EXPECT_EQ(fake().fleet.all().size(), 2U);
}

TEST_F(LambdaTest, SendsOnlyWhatIsDocumented) {
  ASSERT_TRUE(rig_.rent_one());
  const json body = json::parse(creates().front().body);
  EXPECT_FALSE(body.contains("quantity"));
  EXPECT_EQ(body["ssh_key_names"].size(), 1U);
  EXPECT_EQ(body["user_data"], "#cloud-config\n");  // plain, not base64
  EXPECT_EQ(body["hostname"], "mf-0123456789ab-1");
  EXPECT_EQ(body["tags"][0]["key"], "mayfly-run");
}

TEST_F(LambdaTest, KeepsTheTimeOfCreationInATag) {
  const WallTime before = rig_.clock.now();
  const auto instance = rig_.rent_one();
  ASSERT_TRUE(instance);
  EXPECT_LT(instance->created_at - before, 60s);
  rig_.clock.sleep_for(3h);
  EXPECT_EQ(rig_.provider->get(instance->id)->created_at, instance->created_at);
}

TEST_F(LambdaTest, AsksAgainWhileAMachineCannotBeEnded) {
  const auto instance = rig_.rent_one();
  ASSERT_TRUE(instance);
  fake().refused_ends = 4;
  EXPECT_TRUE(destroy_until_gone(*rig_.provider, instance->id, rig_.clock, kDestroyPatience));
  EXPECT_EQ(fake().fleet.billing(), 0);
  EXPECT_EQ(fake().refused_ends, 0);
}

TEST_F(LambdaTest, TellsErrorsByTheirCode) {
  const auto kind_of = [&](int status, const std::string& code) {
    rig_.cloud->inject(
        {Op::create,
         Harm::answer_instead,
         {status,
          json{{"error", {{"code", code}, {"message", "the text does not matter"}}}}.dump()}});
    InstanceSpec spec = rig_.spec();
    spec.offer = rig_.offers().front();
    const CreateOutcome outcome = rig_.provider->create(spec);
    return outcome.error.kind;
  };
  EXPECT_EQ(kind_of(400, "instance-operations/launch/insufficient-capacity"),
            ErrorKind::no_capacity);
  EXPECT_EQ(kind_of(400, "global/quota-exceeded"), ErrorKind::refused);
  EXPECT_EQ(kind_of(400, "global/invalid-parameters"), ErrorKind::refused);
  EXPECT_EQ(kind_of(401, "global/invalid-api-key"), ErrorKind::unauthorized);
  EXPECT_EQ(kind_of(404, "global/object-does-not-exist"), ErrorKind::refused);
  EXPECT_EQ(kind_of(409, "global/internal-error"), ErrorKind::outcome_unknown);
  EXPECT_EQ(kind_of(500, "provider/internal-unavailable"), ErrorKind::outcome_unknown);
}

TEST_F(LambdaTest, RefusesUserDataThatIsTooLong) {
  InstanceSpec spec = rig_.spec();
  spec.offer = rig_.offers().front();
  spec.user_data = std::string(1'000'001, '#');
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::refused);
  EXPECT_EQ(rig_.cloud->count(Op::create), 0);
}

// Nothing on the vendor's side ends a machine: the fuse needs the call, and power-off is no help.
TEST_F(LambdaTest, SaysWhatTheFuseNeeds) {
  EXPECT_FALSE(rig_.provider->traits().power_off_ends_billing);
  EXPECT_FALSE(rig_.provider->traits().keeps_end_time);
  const auto call = rig_.provider->destroy_call();
  ASSERT_TRUE(call);
  EXPECT_EQ(call->body, R"({"instance_ids":["{id}"]})");
}

}  // namespace
}  // namespace mayfly
