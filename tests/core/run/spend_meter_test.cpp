// A meter that counts too little lets an instance bill past its limit. So: whole billing steps,
// rounded up, from the provider's time, and the promise between spent() and destroy_by().
#include "core/run/spend_meter.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using namespace std::chrono_literals;

const WallTime kCreated{std::chrono::milliseconds(1'790'000'000'000)};

TEST(SpendMeterTest, CountsNothingBeforeTheInstanceExists) {
  const SpendMeter meter({dollars(12), 60s}, kCreated);
  EXPECT_EQ(meter.spent(kCreated), Usd{});
  EXPECT_EQ(meter.spent(kCreated - 5h), Usd{});
}

TEST(SpendMeterTest, PaysEachStartedStepInFull) {
  const SpendMeter meter({dollars(12), 60s}, kCreated);
  EXPECT_EQ(meter.spent(kCreated + 1ms), cents(20));
  EXPECT_EQ(meter.spent(kCreated + 60s), cents(20));
  EXPECT_EQ(meter.spent(kCreated + 60s + 1ms), cents(40));
}

TEST(SpendMeterTest, DestroysInTimeForTheLastStepThatIsStillWithinTheLimit) {
  const SpendMeter meter({dollars(12), 60s}, kCreated);
  const WallTime by = meter.destroy_by(dollars(1), 30s);
  EXPECT_EQ(by, kCreated + 5min - 30s);
  EXPECT_LE(meter.spent(by + 30s), dollars(1));
  EXPECT_GT(meter.spent(by + 30s + 1ms), dollars(1));
}

TEST(SpendMeterTest, NeverPassesTheLimitWhateverThePrice) {
  for (std::int64_t micros : {1, 7, 999'999, 33'600'000, 123'456'789}) {
    for (int step : {1, 60, 3600}) {
      const SpendMeter meter({Usd{micros}, std::chrono::seconds(step)}, kCreated);
      for (std::int64_t limit : {0, 1, 1000, 150'000'000}) {
        const WallTime by = meter.destroy_by(Usd{limit}, 0s);
        if (by == WallTime::max()) continue;
        EXPECT_LE(meter.spent(by), Usd{limit}) << micros << " " << step << " " << limit;
        EXPECT_GT(meter.spent(by + 1ms), Usd{limit}) << micros << " " << step << " " << limit;
      }
    }
  }
}

TEST(SpendMeterTest, AFreeInstanceHasNoDeadline) {
  const SpendMeter meter({Usd{}, 1s}, kCreated);
  EXPECT_EQ(meter.spent(kCreated + 1000h), Usd{});
  EXPECT_EQ(meter.destroy_by(cents(1), 10s), WallTime::max());
}

TEST(SpendMeterTest, DestroysAtOnceWhenTheLimitBuysLessThanDestroyingTakes) {
  const SpendMeter meter({dollars(12), 60s}, kCreated);
  EXPECT_EQ(meter.destroy_by(cents(1), 30s), kCreated);
  EXPECT_EQ(meter.destroy_by(cents(20), 5min), kCreated);
}

TEST(SpendMeterTest, TheDearestPriceDoesNotOverflow) {
  const SpendMeter meter({dollars(1'000'000'000), 1s}, kCreated);
  EXPECT_EQ(meter.spent(kCreated + 1h), dollars(1'000'000'000));
  EXPECT_EQ(meter.destroy_by(dollars(1'000'000'000), 0s), kCreated + 1h);
}

}  // namespace
}  // namespace mayfly
