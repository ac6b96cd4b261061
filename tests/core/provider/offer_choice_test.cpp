// What a person is shown before money is spent: an offer left out by mistake is money lost, one
// that does not fit is worse.
#include "core/provider/offer_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mayfly {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Offer offer(const std::string& type, const std::string& gpu, int count, std::int64_t price_cents) {
  Offer offer;
  offer.provider = "lium";
  offer.instance_type = type;
  offer.region = "us-east-1";
  offer.gpu = gpu;
  offer.gpu_count = count;
  offer.vram_gb = 80;
  offer.price = {cents(price_cents), std::chrono::seconds(1)};
  return offer;
}

std::vector<Offer> some() {
  std::vector<Offer> offers = {offer("c", "H100", 8, 3192), offer("a", "A100", 1, 129),
                               offer("b", "H100", 1, 249), offer("d", "A100", 2, 258)};
  offers[0].nvlink = true;
  offers[0].upload_mbps = 900;
  offers[1].nvlink = false;
  offers[1].upload_mbps = 100;
  offers[1].country = "Canada";
  offers[2].region = "eu-1";
  offers[2].zone = "eu-1b";
  offers[2].spot = true;
  return offers;
}

std::vector<std::string> types(const OfferWish& wish) {
  std::vector<std::string> names;
  for (const Offer& chosen : choose_offers(some(), wish)) names.push_back(chosen.instance_type);
  return names;
}

TEST(OfferChoiceTest, ShowsTheCheapestFirst) {
  EXPECT_THAT(types({}), ElementsAre("a", "b", "d", "c"));
}

TEST(OfferChoiceTest, KeepsOneOrderAmongEqualPrices) {
  std::vector<Offer> offers = {offer("small", "A100", 1, 100), offer("big", "A100", 2, 100),
                               offer("also-small", "A100", 1, 100)};
  const auto chosen = choose_offers(offers, {});
  EXPECT_EQ(chosen[0].instance_type, "big");
  EXPECT_EQ(chosen[1].instance_type, "also-small");
  EXPECT_EQ(chosen[2].instance_type, "small");
}

// One that is made to size costs what its size costs; one that is what it is fulfils or does not.
TEST(OfferChoiceTest, MakesDisksAsLargeAsIsWishedFor) {
  std::vector<Offer> offers = {offer("made", "A100", 1, 100), offer("small", "A100", 1, 90),
                               offer("large", "A100", 1, 120)};
  offers[0].disk_gb = 150;
  offers[0].image_gb = 65;
  offers[0].disk_gb_month = cents(72);  // a tenth of a cent a GB and hour
  offers[1].disk_gb = 200;
  offers[2].disk_gb = 1000;
  OfferWish wish;
  wish.disk_gb = 300;
  const auto chosen = choose_offers(offers, wish);
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(chosen[0].instance_type, "made");
  EXPECT_EQ(chosen[0].disk_gb, 300);
  EXPECT_EQ(chosen[0].price.per_hour, cents(115));
  wish.max_price = cents(114);
  EXPECT_THAT(choose_offers(offers, wish), IsEmpty());
  EXPECT_EQ(relaxed_offers(offers, wish).size(), 2U);  // without the price, without the disk

  OfferWish work;
  work.work_disk_gb = 100;
  const auto least = choose_offers(offers, work);
  EXPECT_EQ(least[1].instance_type, "made");
  EXPECT_EQ(least[1].disk_gb, 165);
  work.work_disk_gb = 80;
  EXPECT_EQ(choose_offers(offers, work)[1].disk_gb, 150);
}

TEST(OfferChoiceTest, FiltersByEachWish) {
  OfferWish wish;
  wish.gpus = {"h100"};
  EXPECT_THAT(types(wish), ElementsAre("b", "c"));
  wish = {};
  wish.counts = {2, 8};
  EXPECT_THAT(types(wish), ElementsAre("d", "c"));
  wish = {};
  wish.max_price = cents(249);
  EXPECT_THAT(types(wish), ElementsAre("a", "b"));
  wish.max_price = cents(248);
  EXPECT_THAT(types(wish), ElementsAre("a"));
  wish = {};
  wish.region = "EU";
  EXPECT_THAT(types(wish), ElementsAre("b"));
  wish = {};
  wish.zone = "eu-1b";
  EXPECT_THAT(types(wish), ElementsAre("b"));
  wish = {};
  wish.country = "canada";
  EXPECT_THAT(types(wish), ElementsAre("a"));
  wish = {};
  wish.spot = false;
  EXPECT_THAT(types(wish), ElementsAre("a", "d", "c"));
  wish = {};
  wish.instance_type = "d";
  EXPECT_THAT(types(wish), ElementsAre("d"));
}

TEST(OfferChoiceTest, TakesNoSilenceForAYes) {
  OfferWish wish;
  wish.min_upload_mbps = 100;
  EXPECT_THAT(types(wish), ElementsAre("a", "c"));
  wish.min_upload_mbps = 100.5;
  EXPECT_THAT(types(wish), ElementsAre("c"));
  wish = {};
  wish.min_download_mbps = 1;
  EXPECT_THAT(types(wish), IsEmpty());
  wish = {};
  wish.nvlink = true;
  EXPECT_THAT(types(wish), ElementsAre("c"));
  wish.nvlink = false;
  EXPECT_THAT(types(wish), ElementsAre("a"));
}

TEST(OfferChoiceTest, SaysWhatEachWishCosts) {
  OfferWish wish;
  wish.gpus = {"H100"};
  wish.max_price = dollars(2);
  EXPECT_THAT(types(wish), IsEmpty());
  const auto relaxed = relaxed_offers(some(), wish);
  ASSERT_EQ(relaxed.size(), 2U);
  EXPECT_EQ(relaxed[0].given_up, "--gpu H100");
  EXPECT_EQ(relaxed[0].cheapest.instance_type, "a");
  EXPECT_EQ(relaxed[1].given_up, "--max-price 2");
  EXPECT_EQ(relaxed[1].offers, 2U);
  EXPECT_EQ(relaxed_text(relaxed),
            "without --gpu H100: 1 offer 1xA100 at $1.29 per instance-hour (lium us-east-1)\n"
            "without --max-price 2: 2 offers, the cheapest 1xH100 at $2.49 per instance-hour "
            "(lium eu-1)");
}

TEST(OfferChoiceTest, TriesPairsWhenNoSingleWishStandsInTheWay) {
  OfferWish wish;
  wish.gpus = {"B200"};
  wish.region = "mars";
  wish.counts = {1};
  const auto relaxed = relaxed_offers(some(), wish);
  ASSERT_EQ(relaxed.size(), 1U);
  EXPECT_EQ(relaxed[0].given_up, "--gpu B200 and --region mars");
  EXPECT_EQ(relaxed[0].offers, 2U);
  wish.country = "nowhere";
  EXPECT_THAT(relaxed_offers(some(), wish), IsEmpty());
}

}  // namespace
}  // namespace mayfly
