// What is AWS's own: codes that the status hides, quotas of whole regions, client tokens, markets
// and zones, and a power-off that ends the bill.
#include "core/provider/ec2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/provider/ec2_answer.h"
#include "core/provider/ec2_prices.h"
#include "core/provider/offer_choice.h"
#include "core/url.h"
#include "tests/clouds/fake_ec2.h"
#include "tests/clouds/rig.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Ec2Test : public testing::Test {
 protected:
  FakeEc2& fake() {
    return dynamic_cast<FakeEc2&>(*rig_.cloud);
  }
  std::vector<std::string> create_bodies() {
    std::vector<std::string> bodies;
    for (const FakeRequest& line : fake().journal()) {
      if (line.op == Op::create) bodies.push_back(line.body);
    }
    return bodies;
  }
  static std::string token_of(const std::string& body) {
    return body.substr(body.find("ClientToken="));
  }
  static Usd with_disk_and_address(Usd machine) {
    return Usd{machine.micros + FakeEc2::beside(150).micros};
  }
  Rig rig_{cloud_kinds().at(3)};
};

TEST_F(Ec2Test, AsksForAMachineThatPowerOffEnds) {
  ASSERT_TRUE(rig_.rent_one());
  const std::string body = create_bodies().front();
  for (const char* field :
       {"InstanceInitiatedShutdownBehavior=terminate", "MetadataOptions.HttpTokens=required",
        "BlockDeviceMapping.1.Ebs.DeleteOnTermination=true", "MinCount=1", "MaxCount=1",
        "TagSpecification.1.Tag.2.Key=mayfly-run", "TagSpecification.1.Tag.2.Value=0123456789ab",
        "TagSpecification.2.ResourceType=volume", "ImageId=ami-new",
        "UserData=I2Nsb3VkLWNvbmZpZwo%3D"}) {
    EXPECT_THAT(body, HasSubstr(field));
  }
  EXPECT_THAT(body, Not(HasSubstr("InstanceMarketOptions")));
  const auto limits = rig_.provider->limits_of("m-1");
  ASSERT_TRUE(limits);
  EXPECT_TRUE(limits->power_off_ends_billing);
  EXPECT_FALSE(rig_.provider->destroy_call());
}

TEST_F(Ec2Test, OffersBothMarkets) {
  fake().spot = {{"one r1a", 45}, {"one r1b", 39}, {"one r2a", 50}};
  fake().pages = 2;
  const auto offers = rig_.offers();
  ASSERT_EQ(offers.size(), 7U);
  EXPECT_EQ(offers[0].price.per_hour, with_disk_and_address(cents(39)));
  EXPECT_TRUE(offers[0].spot);
  EXPECT_EQ(offers[0].zone, "r1b");
  EXPECT_EQ(offers[0].region, "r1");
  EXPECT_FALSE(offers[3].spot);
  EXPECT_EQ(offers[3].memory_gb, 1152);
}

// AWS bills both beside the machine, and a limit that did not know of them would be passed.
TEST_F(Ec2Test, CountsDiskAndAddressIntoThePrice) {
  fake().spot = {{"one r1a", 45}};
  const Offer offer = rig_.offers().front();
  EXPECT_EQ(offer.disk_gb, 150);
  // 150 GB at the dearest region's 0.152 USD for 720 hours, and an address at 0.005.
  EXPECT_EQ(offer.price.per_hour, Usd{450'000 + 31'667 + 5'000});
  const Offer large = with_disk(offer, 1000);
  EXPECT_EQ(large.price.per_hour, Usd{450'000 + 211'112 + 5'000});
  EXPECT_EQ(with_disk(large, 150).price.per_hour, offer.price.per_hour);
  EXPECT_EQ(gp3_gb_month("us-east-1"), Usd{80'000});
}

TEST_F(Ec2Test, MakesTheDiskThatIsAskedForAndNeverOneTheImageDoesNotFit) {
  InstanceSpec spec;
  spec.run_id = "0123456789ab";
  spec.offer = with_disk(rig_.offers().front(), 400);
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::made);
  EXPECT_THAT(create_bodies().back(), HasSubstr("Ebs.VolumeSize=400&"));
  EXPECT_EQ(fake().fleet.all().back().per_hour, spec.offer.price.per_hour);
  spec.attempt = 2;
  spec.offer = with_disk(spec.offer, 10);
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::made);
  EXPECT_THAT(create_bodies().back(), HasSubstr("Ebs.VolumeSize=65&"));
}

TEST_F(Ec2Test, OffersSpotAloneWithoutTheRightToAskForPrices) {
  fake().spot = {{"one r1a", 45}};
  fake().tells_prices = false;
  const auto offers = rig_.offers();
  ASSERT_EQ(offers.size(), 1U);
  EXPECT_TRUE(offers[0].spot);
}

TEST_F(Ec2Test, AsksForASpotMachineOnceAndInItsZone) {
  fake().spot = {{"one r1b", 39}};
  ASSERT_TRUE(rig_.rent_one());
  const std::string body = create_bodies().front();
  EXPECT_THAT(body, HasSubstr("InstanceMarketOptions.MarketType=spot"));
  EXPECT_THAT(body, HasSubstr("SpotInstanceType=one-time"));
  EXPECT_THAT(body, HasSubstr("InstanceInterruptionBehavior=terminate"));
  EXPECT_THAT(body, HasSubstr("Placement.AvailabilityZone=r1b"));
  EXPECT_THAT(body, Not(HasSubstr("MaxPrice")));
  EXPECT_EQ(rig_.provider->get("m-1")->price.per_hour, with_disk_and_address(cents(39)));
}

// runs-on #251: a fall-back that reuses the token is refused, or worse, answered with the old one.
TEST_F(Ec2Test, UsesANewTokenForEveryOtherWish) {
  fake().spot = {{"one r1a", 39}};
  rig_.cloud->inject({Op::create, Harm::answer_instead, fake().no_capacity(), 2});
  ASSERT_TRUE(rig_.rent_one());
  const auto bodies = create_bodies();
  ASSERT_EQ(bodies.size(), 3U);
  EXPECT_NE(token_of(bodies[0]), token_of(bodies[1]));
  EXPECT_NE(token_of(bodies[1]), token_of(bodies[2]));
}

TEST_F(Ec2Test, RepeatsALostRequestWithTheSameToken) {
  // Made, but neither answered nor listed for longer than anybody looks.
  fake().fleet.hidden_for = 150s;
  rig_.cloud->inject({Op::create, Harm::close_after});
  const auto instance = rig_.rent_one();
  ASSERT_TRUE(instance) << instance.error().message;
  const auto bodies = create_bodies();
  ASSERT_EQ(bodies.size(), 2U);
  EXPECT_EQ(bodies[0], bodies[1]);
  EXPECT_EQ(fake().fleet.all().size(), 1U);
}

TEST_F(Ec2Test, LeavesOutTheRestOfARegionWhoseQuotaIsUsedUp) {
  rig_.cloud->inject({Op::create, Harm::answer_instead,
                      FakeEc2::refusal(400, "VcpuLimitExceeded", "more vCPU than your limit")});
  const auto instance = rig_.rent_one();
  ASSERT_TRUE(instance) << instance.error().message;
  EXPECT_EQ(fake().count(Op::create), 2);
  EXPECT_EQ(fake().fleet.all().front().region, "r2");
}

TEST_F(Ec2Test, SaysThatItIsTheQuotaWhenNoRegionIsLeft) {
  rig_.cloud->inject(
      {Op::create, Harm::answer_instead,
       FakeEc2::refusal(400, "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded"),
       10});
  const auto instance = rig_.rent_one();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::refused);
  EXPECT_THAT(instance.error().hint, HasSubstr("quota"));
  EXPECT_EQ(fake().count(Op::create), 2);
}

TEST_F(Ec2Test, FindsAndEndsAMachineOfAnotherLifeInAnyRegion) {
  InstanceSpec spec = rig_.spec();
  for (const Offer& offer : rig_.offers()) {
    if (offer.region == "r2") spec.offer = offer;
  }
  ASSERT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::made);
  const auto fresh = rig_.client(FakeCloud::kKey);
  const auto found = fresh->find_run(spec.run_id);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  const auto stranger = rig_.client(FakeCloud::kKey);
  EXPECT_TRUE(destroy_until_gone(*stranger, "m-1", rig_.clock, kDestroyPatience));
  EXPECT_EQ(fake().fleet.billing(), 0);
}

TEST_F(Ec2Test, TellsErrorsByTheirCode) {
  const auto kind = [](int status, const std::string& code) {
    HttpResponse response;
    response.status = status;
    response.body = FakeEc2::refusal(status, code, "text").body;
    return ec2_meaning(response).kind;
  };
  EXPECT_EQ(kind(500, "InsufficientInstanceCapacity"), ErrorKind::no_capacity);
  EXPECT_EQ(kind(400, "Unsupported"), ErrorKind::no_capacity);
  EXPECT_EQ(kind(500, "InternalError"), ErrorKind::outcome_unknown);
  EXPECT_EQ(kind(503, "RequestLimitExceeded"), ErrorKind::rate_limited);
  EXPECT_EQ(kind(400, "RequestExpired"), ErrorKind::unauthorized);
  EXPECT_EQ(kind(400, "IdempotentParameterMismatch"), ErrorKind::outcome_unknown);
  EXPECT_EQ(kind(400, "InvalidParameterValue"), ErrorKind::refused);
  EXPECT_EQ(kind(400, "OperationNotPermitted"), ErrorKind::refused);
  EXPECT_EQ(kind(400, "InvalidInstanceID.NotFound"), ErrorKind::not_found);
  HttpResponse page;
  page.status = 502;
  page.body = "<html>Bad Gateway</html>";
  EXPECT_EQ(ec2_meaning(page).kind, ErrorKind::outcome_unknown);
}

TEST_F(Ec2Test, RefusesUserDataThatIsTooLong) {
  InstanceSpec spec = rig_.spec();
  spec.offer = rig_.offers().front();
  spec.user_data = std::string(16385, '#');
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::refused);
  spec.user_data.resize(16384);
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::made);
}

TEST(Ec2AnswerTest, TakesItemsOfOneLevelOnly) {
  const std::string xml =
      "<a><item>1<b><item>x</item></b></item><item>2</item></a><c><item>3</item></c>";
  EXPECT_THAT(xml_items(xml, "a"), testing::ElementsAre("1<b><item>x</item></b>", "2"));
  EXPECT_THAT(xml_items(xml, "b"), testing::ElementsAre("x"));
  EXPECT_THAT(xml_items(xml, "d"), testing::IsEmpty());
  EXPECT_THAT(xml_items("<a><item>1", "a"), testing::IsEmpty());
  EXPECT_THAT(xml_items("<a></a><item>1</item>", "a"), testing::IsEmpty());
}

}  // namespace
}  // namespace mayfly
