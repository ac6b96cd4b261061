// The choice that costs money: which offer is taken, which may take its place, and when a person
// must be asked.
#include "launcher/rental_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/rental_wish.h"
#include "tests/fakes/llama_8b.h"

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Offer offer(const std::string& type, std::int64_t price_cents, const std::string& gpu = "A100",
            int count = 1) {
  Offer made;
  made.provider = "shadeform";
  made.instance_type = type;
  made.region = "r1";
  made.gpu = gpu;
  made.gpu_count = count;
  made.vram_gb = 80;
  made.price.per_hour = cents(price_cents);
  return made;
}

std::vector<std::string> types(const std::vector<Offer>& offers) {
  std::vector<std::string> names;
  for (const Offer& one : offers) names.push_back(one.instance_type);
  return names;
}

const std::vector<Offer> kOffers = {offer("d", 130),           offer("a", 100), offer("c", 125),
                                    offer("e", 90, "L4"),      offer("b", 110), offer("f", 126),
                                    offer("g", 110, "A100", 8)};

TEST(RentalChoiceTest, TriesTheChosenOneFirstAndThenOnlyItsLikeNotMuchDearer) {
  OfferWish wish;
  wish.gpus = {"A100"};
  const auto choice = choose_rental(kOffers, wish, 10, {.yes = true});
  ASSERT_TRUE(choice);
  // 125 is a quarter more than 100 and is taken, 126 is not; eight GPUs are not its like.
  EXPECT_THAT(types(choice->offers), ElementsAre("a", "b", "c"));
  EXPECT_FALSE(choice->by_person);
  EXPECT_THAT(types(choose_rental(kOffers, wish, 1, {.yes = true})->offers), ElementsAre("a", "b"));
  EXPECT_THAT(types(choose_rental(kOffers, wish, 0, {.yes = true})->offers), ElementsAre("a"));
}

TEST(RentalChoiceTest, AsksThePersonAndTriesWhatWasPickedFirst) {
  std::string table, question;
  Selector selector;
  selector.show = [&](const std::string& text) { table = text; };
  selector.ask = [&](const std::string& text) -> std::optional<std::string> {
    question = text;
    return "3";
  };
  const auto choice = choose_rental(kOffers, {}, 3, selector);
  ASSERT_TRUE(choice);
  EXPECT_EQ(question, "Select instance [1-7] or 'q' to quit: ");
  EXPECT_THAT(table, HasSubstr("#  Provider"));
  EXPECT_THAT(table, HasSubstr("per instance-hour"));
  // Of one price the eight GPUs come before the one.
  EXPECT_THAT(types(choice->offers), ElementsAre("g"));
  EXPECT_TRUE(choice->by_person);
}

TEST(RentalChoiceTest, TakesWhatIsNamedUnaskedAndNothingElseWithoutYes) {
  const auto nobody = choose_rental(kOffers, {}, 3, {});
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().kind, ErrorKind::guard);
  OfferWish wish;
  wish.instance_type = "b";
  const auto named = choose_rental(kOffers, wish, 3, {.named = true});
  ASSERT_TRUE(named);
  EXPECT_THAT(types(named->offers), ElementsAre("b"));
  EXPECT_TRUE(named->by_person);
  const auto looked = choose_rental(kOffers, {}, 3, {.look = true});
  ASSERT_TRUE(looked);
  EXPECT_EQ(looked->offers.front().instance_type, "e");
  EXPECT_FALSE(looked->by_person);
}

TEST(RentalWishTest, HasEachProvidersDefaultsWithAsManyGpusAsTrain) {
  EXPECT_THAT(wish_for({}, "shadeform", false)->gpus, ElementsAre("B200"));
  EXPECT_THAT(wish_for({}, "lium", false)->gpus, ElementsAre("A100"));
  EXPECT_THAT(wish_for({}, "lambda", false)->counts, ElementsAre(1));
  RunConfig two;
  two.train.devices = 2;
  EXPECT_THAT(wish_for(two, "lambda", false)->counts, ElementsAre(2));
  EXPECT_THAT(wish_for({}, "lambda", true)->counts, ElementsAre(1, 2, 4, 8));
  const auto aws = wish_for({}, "aws", false);
  EXPECT_EQ(aws->instance_type, "g4dn.xlarge");
  EXPECT_EQ(aws->region, "");  // those that are asked: AWS_REGION, else us-east-1
  EXPECT_EQ(aws->spot, true);
  EXPECT_EQ(wish_for({}, "lium", false)->spot, false);
  RunConfig named;
  named.instance.gpu = {"L4"};
  named.instance.spot = false;
  EXPECT_EQ(wish_for(named, "aws", false)->instance_type, "");
  EXPECT_EQ(wish_for(named, "aws", false)->spot, false);
  named.instance.where = {{"city", "Amsterdam"}};
  EXPECT_EQ(wish_for(named, "aws", false)->city, "Amsterdam");
  named.instance.where = {{"planet", "Mars"}};
  EXPECT_EQ(wish_for(named, "aws", false).error().kind, ErrorKind::invalid_config);
}

TEST(RentalWishTest, ChoosesTheOnlyCloudWithAKeyElseThisMachineElseAsks) {
  using Name = ProviderName;
  const auto by = [](ProviderName name) {
    RunConfig config;
    config.provider = name;
    return config;
  };
  EXPECT_EQ(*provider_for(by(Name::automatic), {}), "local");
  const Environment one = {{"LIUM_API_KEY", "k"}, {"LAMBDA_API_KEY", ""}};
  EXPECT_EQ(*provider_for(by(Name::automatic), one), "lium");
  EXPECT_EQ(*provider_for(by(Name::local), one), "local");
  // A secret without the name of its key opens nothing.
  EXPECT_EQ(*provider_for(by(Name::automatic), {{"AWS_SECRET_ACCESS_KEY", "k"}}), "local");
  const Environment two = {{"LIUM_API_KEY", "k"}, {"LAMBDA_API_KEY", "k"}};
  RunConfig attached;
  attached.instance.host = "box";
  EXPECT_EQ(*provider_for(attached, one), "attached");
  const auto several = provider_for(by(Name::automatic), two);
  ASSERT_FALSE(several);
  EXPECT_THAT(several.error().message, HasSubstr("lambda, lium"));
}

TEST(RentalWishTest, LeavesOutWhatTheTrainingDoesNotFit) {
  const Architecture model = llama_8b();
  RunConfig config;
  Offer small = offer("small", 100, "L4");
  small.vram_gb = 16;
  Offer old = offer("old", 90, "V100");
  Offer float_only = offer("float", 95, "T4");
  float_only.vram_gb = 24;  // enough for bfloat16, which it does not have
  Offer thin = offer("thin", 100);
  thin.memory_gb = 4;
  Offer good = offer("good", 110, "L4");
  good.vram_gb = 24;
  OfferWish wish;
  must_fit(wish, model, config, 1024);
  EXPECT_THAT(types(choose_offers({small, old, float_only, thin, good}, wish)),
              ElementsAre("good"));
  EXPECT_THAT(fit_text(small, model, config, 1024), HasSubstr("no: needs 21."));
  EXPECT_EQ(fit_text(old, model, config, 1024), "no: not supported");
  EXPECT_EQ(fit_text(thin, model, config, 1024), "no: host memory");
  EXPECT_EQ(fit_text(good, model, config, 1024), "yes");
  // Where an offer does not tell its memory, it is that of the card.
  good.vram_gb = 0;
  EXPECT_EQ(fit_text(good, model, config, 1024), "yes");
  good.gpu = "A4000";
  EXPECT_THAT(fit_text(good, model, config, 1024), HasSubstr("no: needs"));
}

}  // namespace
}  // namespace mayfly
