// `launch offers` from keys to table, with the real program in front of fake clouds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/exit_code.h"
#include "core/spawn.h"
#include "launcher/cloud_access.h"
#include "launcher/rental_choice.h"
#include "tests/clouds/rig.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Environment environment_for(const std::string& name, const FakeCloud& cloud) {
  std::string upper = name;
  for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
  return {{upper + "_API_KEY", FakeCloud::kKey}, {upper + "_ENDPOINT", cloud.endpoint()}};
}

TEST(OffersTest, AsksAllCloudsThatThereAreKeysFor) {
  VirtualClock clock;
  Environment environment;
  std::vector<std::unique_ptr<FakeCloud>> fakes;
  for (const CloudKind& kind : cloud_kinds()) {
    if (kind.name == "aws") continue;
    fakes.push_back(kind.fake(clock));
    fakes.back()->start();
    environment.merge(environment_for(kind.name, *fakes.back()));
  }
  const auto clouds = clouds_of(environment, "", clock);
  ASSERT_TRUE(clouds) << clouds.error().message;
  const CloudOffers answer = ask_for_offers(*clouds);
  EXPECT_THAT(answer.errors, IsEmpty());
  EXPECT_EQ(answer.offers.size(), 4 * fakes.size());
}

TEST(OffersTest, NamesTheCloudThatDoesNotAnswer) {
  VirtualClock clock;
  const auto good = cloud_kinds()[0].fake(clock);
  const auto bad = cloud_kinds()[1].fake(clock);
  good->start();
  bad->start();
  Environment environment = environment_for("shadeform", *good);
  environment.merge(environment_for("lambda", *bad));
  environment["LAMBDA_API_KEY"] = "wrong";
  const auto clouds = clouds_of(environment, "", clock);
  ASSERT_TRUE(clouds);
  const CloudOffers answer = ask_for_offers(*clouds);
  EXPECT_EQ(answer.offers.size(), 4U);
  ASSERT_EQ(answer.errors.size(), 1U);
  EXPECT_THAT(answer.errors[0].message, StartsWith("lambda: "));
}

TEST(OffersTest, SaysWhichKeyIsMissing) {
  VirtualClock clock;
  const auto none = clouds_of({}, "", clock);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::unauthorized);
  EXPECT_THAT(none.error().hint, HasSubstr("SHADEFORM_API_KEY"));
  EXPECT_THAT(clouds_of({}, "lium", clock).error().hint, HasSubstr("LIUM_API_KEY"));
  EXPECT_EQ(clouds_of({}, "nowhere", clock).error().kind, ErrorKind::unsupported);
}

TEST(OffersTest, SendsNoKeyInTheClear) {
  VirtualClock clock;
  const Environment environment = {{"LIUM_API_KEY", "k"}, {"LIUM_ENDPOINT", "http://example.com"}};
  const auto clouds = clouds_of(environment, "", clock);
  ASSERT_FALSE(clouds);
  EXPECT_EQ(clouds.error().kind, ErrorKind::usage);
}

std::vector<Offer> three() {
  std::vector<Offer> offers(3);
  for (std::size_t i = 0; i < 3; ++i) {
    offers[i].provider = "shadeform";
    offers[i].cloud = "hyperstack";
    offers[i].region = "canada-1";
    offers[i].instance_type = "t" + std::to_string(i + 1);
    offers[i].gpu = "B200";
    offers[i].gpu_count = 8;
    offers[i].vram_gb = 192;
    offers[i].nvlink = true;
    offers[i].price.per_hour = dollars(static_cast<std::int64_t>(30 + i));
  }
  return offers;
}

TEST(OffersTest, ShowsTheTableOfTheGuide) {
  const std::string table = offers_table(three(), false);
  EXPECT_THAT(table,
              StartsWith("#  Provider              Region    GPUs      VRAM  Price/hr  NVLink\n"
                         "1  shadeform/hyperstack  canada-1  8xB200  192 GB    $30.00  yes\n"));
  EXPECT_THAT(table, HasSubstr("per instance-hour"));
  EXPECT_THAT(offers_table(three(), true), HasSubstr("Per GPU"));
  EXPECT_THAT(offers_table(three(), true), HasSubstr("$3.75"));
}

TEST(OffersTest, AsksWhichOneUntilThereIsAnAnswer) {
  std::vector<std::string> typed = {"0", "4", "two", " 2", "2"};
  std::string question;
  std::size_t asked = 0;
  const AskLine ask = [&](const std::string& text) {
    question = text;
    return std::optional(typed.at(asked++));
  };
  const auto chosen = select_offer(three(), false, ask);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->instance_type, "t2");
  EXPECT_EQ(asked, 5U);
  EXPECT_EQ(question, "Select instance [1-3] or 'q' to quit: ");
}

TEST(OffersTest, SelectsNothingUnasked) {
  const AskLine quit = [](const std::string&) { return std::optional<std::string>("q"); };
  EXPECT_EQ(select_offer(three(), false, quit).error().kind, ErrorKind::guard);
  const AskLine ended = [](const std::string&) { return std::optional<std::string>(); };
  EXPECT_EQ(select_offer(three(), false, ended).error().kind, ErrorKind::guard);
  EXPECT_EQ(select_offer(three(), false, {}).error().kind, ErrorKind::guard);
  EXPECT_EQ(exit_code(ErrorKind::guard), ExitCode::guard);
  EXPECT_EQ(select_offer(three(), true, {})->instance_type, "t1");
  EXPECT_EQ(select_offer({three()[2]}, false, {})->instance_type, "t3");
  EXPECT_EQ(select_offer({}, true, {}).error().kind, ErrorKind::no_capacity);
}

// The program itself: environment in, table or JSON out, exit codes as documented.
class OffersProgramTest : public TemporaryFolder {
 protected:
  void SetUp() override {
    cloud_ = cloud_kinds()[0].fake(clock_);
    cloud_->start();
  }
  int launch(std::vector<std::string> arguments, const std::string& verb = "offers") {
    SpawnSpec spec;
    spec.argv = {std::string(MAYFLY_BINARY_DIR) + "/launch", verb};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.environment = {"PATH=/usr/bin:/bin", "HOME=" + folder_.string(),
                        "XDG_STATE_HOME=" + folder_.string(),
                        "SHADEFORM_API_KEY=" + std::string(FakeCloud::kKey),
                        "SHADEFORM_ENDPOINT=" + cloud_->endpoint()};
    spec.output = folder_ / "output";
    spec.folder = folder_;
    std::filesystem::remove(spec.output);
    const Result<pid_t> started = spawn(spec);
    if (!started) return -1;
    const Result<int> code = wait_for_exit(*started, std::chrono::seconds(20));
    const Result<std::string> text = read_file(folder_ / "output");
    output_ = text ? *text : "";
    return code ? *code : -1;
  }
  VirtualClock clock_;
  std::unique_ptr<FakeCloud> cloud_;
  std::string output_;
};

TEST_F(OffersProgramTest, ShowsWhatFits) {
  EXPECT_EQ(launch({"--gpu", "a100", "--num-gpus", "1"}), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("$1.29"));
  EXPECT_EQ(output_.find("H100"), std::string::npos);
  EXPECT_EQ(output_.find(FakeCloud::kKey), std::string::npos);
}

TEST_F(OffersProgramTest, SpeaksJson) {
  EXPECT_EQ(launch({"--json", "--all-configs"}), 0) << output_;
  const auto document = nlohmann::json::parse(output_);
  EXPECT_EQ(document["schema"], "mayfly.offers/1");
  EXPECT_EQ(document["offers"].size(), 4U);
  EXPECT_EQ(document["offers"][3]["usd_per_instance_hour"], 31.92);
  EXPECT_EQ(document["offers"][3]["usd_per_gpu_hour"], 3.99);
}

TEST_F(OffersProgramTest, ExplainsWhyNothingFits) {
  EXPECT_EQ(launch({"--gpu", "B200", "--max-price", "2"}), 7) << output_;
  EXPECT_THAT(output_, HasSubstr("without --gpu B200: 2 offers, the cheapest 1xA100 at $1.29"));
}

TEST_F(OffersProgramTest, SelectsOnlyWhenToldTo) {
  EXPECT_EQ(launch({"--select"}), 8) << output_;
  EXPECT_EQ(launch({"--select", "--yes"}), 0) << output_;
  EXPECT_THAT(output_,
              HasSubstr("--provider shadeform --cloud hyperstack --region r1 --instance-type one"));
  EXPECT_EQ(launch({"--select", "--instance-type", "eight"}), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("--instance-type eight"));
}

// The fake's machines are of September 2026, long enough ago for nobody to account for them.
TEST_F(OffersProgramTest, ReapsWhatNobodyAccountsForAtACloud) {
  cloud_->fleet.end_takes = std::chrono::seconds(0);
  cloud_->fleet.shown_gone = std::chrono::hours(1);
  Machine& ours = cloud_->fleet.add(cloud_->types.front(), "r1");
  ours.notes["tags"] = R"(["mayfly-run=d00000000000"])";
  Machine& other = cloud_->fleet.add(cloud_->types.front(), "r1");
  other.notes["tags"] = "[]";
  EXPECT_EQ(launch({"--yes"}, "reap"), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("m-1"));
  EXPECT_EQ(cloud_->fleet.billing(), 1);
  EXPECT_FALSE(cloud_->fleet.all().back().end_asked);
}

TEST_F(OffersProgramTest, RefusesWhatMakesNoSense) {
  EXPECT_EQ(launch({"--max-price", "-1"}), 2) << output_;
  EXPECT_EQ(launch({"--num-gpus", "2", "--all-configs"}), 2) << output_;
  EXPECT_EQ(launch({"--provider", "nowhere"}), 2) << output_;
  EXPECT_EQ(launch({"--provider", "lium"}), 6) << output_;
}

}  // namespace
}  // namespace mayfly
