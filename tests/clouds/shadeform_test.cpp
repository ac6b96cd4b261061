// What is Shadeform's own: limits on the vendor's side, a broker's many clouds, odd ways of writing
// a sum, and answers that its documents leave open.
#include "core/provider/shadeform.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "tests/clouds/fake_shadeform.h"
#include "tests/clouds/rig.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class ShadeformTest : public testing::Test {
 protected:
  FakeShadeform& fake() {
    return dynamic_cast<FakeShadeform&>(*rig_.cloud);
  }
  json create_body() {
    for (const FakeRequest& line : fake().journal()) {
      if (line.op == Op::create) return json::parse(line.body);
    }
    return {};
  }
  Rig rig_{cloud_kinds().at(0)};
};

TEST_F(ShadeformTest, SendsItsLimitsWithTheCreateCall) {
  const InstanceSpec spec = rig_.spec();
  ASSERT_TRUE(rig_.rent_one());
  const json body = create_body();
  EXPECT_EQ(body["auto_delete"]["date_threshold"], format_utc(*spec.limits.end_by));
  EXPECT_EQ(body["auto_delete"]["spend_threshold"], "20");  // a text of dollars
  EXPECT_EQ(body["shade_cloud"], true);
  EXPECT_EQ(body["cloud"], "hyperstack");
  EXPECT_EQ(body["os"], "ubuntu22.04_cuda12.2_shade_os");
  EXPECT_EQ(body["name"], "mf-0123456789ab-1");
  EXPECT_EQ(body["tags"][0], "mayfly-run=0123456789ab");
  EXPECT_EQ(body["launch_configuration"]["type"], "script");
  EXPECT_EQ(
      *base64_decode(
          body["launch_configuration"]["script_configuration"]["base64_script"].get<std::string>()),
      "#cloud-config\n");
  const auto limits = rig_.provider->limits_of("m-1");
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->end_by, spec.limits.end_by);
  EXPECT_EQ(limits->spend_cap, dollars(20));
}

TEST_F(ShadeformTest, NamesTheSameKeyAgainInsteadOfAddingIt) {
  ASSERT_TRUE(rig_.rent_one());
  const std::string key = create_body()["ssh_key_id"];
  EXPECT_EQ(key, "key-1");
  const auto second = rig_.provider->create([&] {
    InstanceSpec spec = rig_.spec("ba9876543210");
    spec.offer = rig_.offers().front();
    spec.ssh_public_key += " another comment";
    return spec;
  }());
  EXPECT_EQ(second.kind, CreateOutcome::Kind::made);
  int added = 0;
  for (const FakeRequest& line : fake().journal()) added += line.path == "/v1/sshkeys/add" ? 1 : 0;
  EXPECT_EQ(added, 1);
}

TEST_F(ShadeformTest, ReadsTheSumSpentInEveryForm) {
  ASSERT_TRUE(rig_.rent_one());
  const auto billed = [&](const std::string& text) {
    fake().cost_estimate = text;
    return rig_.provider->get("m-1")->billed;
  };
  EXPECT_EQ(billed("103.4"), Usd{103'400'000});
  EXPECT_EQ(billed("$15.00"), dollars(15));
  EXPECT_EQ(billed(""), std::nullopt);
  EXPECT_EQ(billed("free"), std::nullopt);
  EXPECT_EQ(billed("-1"), std::nullopt);
}

TEST_F(ShadeformTest, LeavesOutContainersAndOddRows) {
  json types = json::parse(R"({"instance_types":[
    {"cloud":"a","shade_instance_type":"c","hourly_price":100,"deployment_type":"container",
     "configuration":{"num_gpus":1,"gpu_type":"H100"},
     "availability":[{"region":"r","available":true}]},
    {"cloud":"a","shade_instance_type":"no-price","deployment_type":"vm","configuration":{},
     "availability":[{"region":"r","available":true}]},
    {"cloud":"a","shade_instance_type":"vm","hourly_price":250,"deployment_type":"vm",
     "configuration":{"num_gpus":1,"gpu_type":"RTX A6000","vram_per_gpu_in_gb":48},
     "availability":[{"region":"r","available":true},{"region":"s","available":false}]},
    {"cloud":"b","shade_instance_type":"metal","hourly_price":300,"deployment_type":"baremetal",
     "configuration":null,"availability":[{"region":"r","available":true}]},
    null, 7]})");
  fake().types_answer = types.dump();
  const auto offers = rig_.provider->offers();
  ASSERT_TRUE(offers);
  ASSERT_EQ(offers->size(), 2U);
  EXPECT_EQ((*offers)[0].instance_type, "vm");
  EXPECT_EQ((*offers)[0].gpu, "A6000");
  EXPECT_EQ((*offers)[0].region, "r");
  EXPECT_EQ((*offers)[1].instance_type, "metal");
  EXPECT_EQ((*offers)[1].gpu_count, 0);
}

// /info of an unknown id may say something else than 404 one day: the list decides, and a 404 alone
// does not prove the end of what the list still has.
TEST_F(ShadeformTest, BelievesTheListWhenInfoSaysThatItIsGone) {
  ASSERT_TRUE(rig_.rent_one());
  rig_.cloud->inject({Op::get, Harm::answer_instead, {404, "{}"}, 2});
  const auto instance = rig_.provider->get("m-1");
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->state, InstanceState::running);
}

TEST_F(ShadeformTest, LooksTwiceBeforeItSaysGone) {
  ASSERT_TRUE(rig_.rent_one());
  const auto before = rig_.clock.elapsed();
  ASSERT_TRUE(destroy_until_gone(*rig_.provider, "never-was", rig_.clock, kDestroyPatience));
  EXPECT_EQ(rig_.clock.elapsed() - before, 10s);
}

TEST_F(ShadeformTest, RefusesAScriptThatIsTooLong) {
  InstanceSpec spec = rig_.spec();
  spec.offer = rig_.offers().front();
  spec.user_data = std::string(16385, '#');
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::refused);
  EXPECT_EQ(rig_.cloud->count(Op::create), 0);
  spec.user_data.resize(16384);
  EXPECT_EQ(rig_.provider->create(spec).kind, CreateOutcome::Kind::made);
}

TEST_F(ShadeformTest, CanBeEndedByOneRequestThatIsData) {
  const auto call = rig_.provider->destroy_call();
  ASSERT_TRUE(call);
  EXPECT_EQ(call->method, "POST");
  EXPECT_EQ(call->url, rig_.cloud->endpoint() + "/instances/{id}/delete");
  EXPECT_EQ(call->headers.front().first, "X-API-KEY");
  EXPECT_EQ(call->headers.front().second.reveal(), FakeCloud::kKey);
}

}  // namespace
}  // namespace mayfly
