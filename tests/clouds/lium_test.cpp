// What is Lium's own: machines of strangers, rented singly and in parts; names instead of tags; a
// server that ends pods after whole hours; texts of the host's that must not reach a shell.
#include "core/provider/lium.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/clouds/fake_lium.h"
#include "tests/clouds/rig.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class LiumTest : public testing::Test {
 protected:
  FakeLium& fake() {
    return dynamic_cast<FakeLium&>(*rig_.cloud);
  }
  json create_body() {
    for (const FakeRequest& line : fake().journal()) {
      if (line.op == Op::create) return json::parse(line.body);
    }
    return {};
  }
  Rig rig_{cloud_kinds().at(2)};
};

TEST_F(LiumTest, SendsTheEndAndTheCountWithTheRentCall) {
  InstanceSpec spec = rig_.spec();
  spec.limits.end_by = rig_.clock.now() + 5h + 1min;
  const auto instance = rent(*rig_.provider, spec, rig_.offers(), {}, rig_.journal, rig_.clock, {});
  ASSERT_TRUE(instance) << instance.error().message;
  const json body = create_body();
  EXPECT_EQ(body["termination_hours"], 6);
  EXPECT_EQ(body["gpu_count"], 1);
  EXPECT_EQ(body["enable_volume_encryption"], false);
  EXPECT_EQ(body["pod_name"], "mf-0123456789ab-1");
  EXPECT_EQ(body["user_public_key"].size(), 1U);
}

TEST_F(LiumTest, PutsNothingOfOursIntoATemplate) {
  ASSERT_TRUE(rig_.rent_one());
  for (const FakeRequest& line : fake().journal()) {
    if (line.path != "/api/templates") continue;
    const json body = json::parse(line.body);
    EXPECT_TRUE(body["environment"].empty());
    EXPECT_EQ(body["startup_commands"], "");
    EXPECT_EQ(body["is_private"], true);
    EXPECT_EQ(body["one_time_template"], true);
  }
}

TEST_F(LiumTest, TakesItsTemplateBackWhenThePodIsRefused) {
  rig_.cloud->inject({Op::create, Harm::answer_instead, fake().no_capacity(), 2});
  ASSERT_TRUE(rig_.rent_one());
  EXPECT_EQ(fake().templates, 1);
}

TEST_F(LiumTest, FindsThePodByNameWhenTheServerDoesNotSayItsId) {
  fake().says_pod_id = false;
  const auto instance = rig_.rent_one();
  ASSERT_TRUE(instance) << instance.error().message;
  EXPECT_EQ(instance->id, "m-1");
  EXPECT_EQ(fake().count(Op::create), 1);
}

TEST_F(LiumTest, TakesSshTargetsApartAndRunsNothing) {
  const auto target = read_ssh_command("ssh root@203.0.113.7 -p 40022");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "203.0.113.7");
  EXPECT_EQ(target->port, 40022);
  EXPECT_EQ(read_ssh_command("ssh root@pod.example.com")->port, 22);
  for (const char* text :
       {"ssh root@h -p 1; rm -rf", "ssh root@h -p 70000", "ssh root@h -p", "ssh ubuntu@h -p 1",
        "ssh root@-oProxyCommand=x -p 1", "ssh root@$(id) -p 1", "ssh -v root@h", "", "ssh root@",
        "ssh root@h -p -1", "ssh root@h  -p 1"}) {
    EXPECT_FALSE(read_ssh_command(text)) << text;
  }
  fake().ssh_command = "ssh root@h -p 1; rm -rf";
  const auto instance = rig_.rent_one();
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->address, "");
}

TEST_F(LiumTest, OffersTheCountsThatANodeAllows) {
  fake().nodes_answer = R"([
    {"id":"whole","machine_name":"NVIDIA H100 80GB HBM3","gpu_count":8,"available_gpu_count":8,
     "min_gpu_count_for_rental":null,"price_per_gpu":2.5,"tier":"secure"},
    {"id":"taken","machine_name":"NVIDIA H100","gpu_count":8,"available_gpu_count":5,
     "min_gpu_count_for_rental":null,"price_per_gpu":2.5},
    {"id":"parts","machine_name":"NVIDIA A100","gpu_count":8,"available_gpu_count":6,
     "min_gpu_count_for_rental":2,"price_per_gpu":"1.1","tier":"spot"}])";
  const auto offers = rig_.provider->offers();
  ASSERT_TRUE(offers);
  std::vector<std::string> shown;
  for (const Offer& offer : *offers) {
    shown.push_back(offer.host + " " + std::to_string(offer.gpu_count) + " " +
                    format_usd(offer.price.per_hour) + (offer.spot ? " spot" : ""));
  }
  EXPECT_EQ(shown, (std::vector<std::string>{"whole 8 $20.00", "parts 2 $2.20 spot",
                                             "parts 4 $4.40 spot", "parts 6 $6.60 spot"}));
}

TEST_F(LiumTest, TakesADoubtfulRepetitionAsUnknown) {
  rig_.cloud->inject(
      {Op::create,
       Harm::answer_instead,
       {409, R"({"error":{"code":"idempotency_outcome_unknown","message":"in doubt"}})"}});
  const auto instance = rig_.rent_one();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::outcome_unknown);
  EXPECT_EQ(fake().count(Op::create), 1);
}

TEST_F(LiumTest, SaysThatTheKeysBudgetIsUsedUp) {
  rig_.cloud->inject({Op::create,
                      Harm::answer_instead,
                      {402, R"({"error":{"code":"API_KEY_BUDGET_EXCEEDED","message":"spent"}})"}});
  const auto instance = rig_.rent_one();
  ASSERT_FALSE(instance);
  EXPECT_EQ(instance.error().kind, ErrorKind::refused);
  EXPECT_NE(instance.error().hint.find("budget"), std::string::npos);
}

}  // namespace
}  // namespace mayfly
