// T7: clocks that are wrong at boot. What could go wrong: a run that ends at once because its
// machine believes to be seventy years old, and one that is paid for longer than its limit because
// the machine believes to be new. Both sides of every bound; the error in the age is held to 2 % of
// a limit of twelve hours wherever anything but the wall clock is there to tell.
#include "agent/true_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/age.h"
#include "core/http/curl_client.h"
#include "tests/core/http/raw_server.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/temporary_folder.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr WallTime kTrue = FakeClock::kBegin;
constexpr Age kLimit = 12h;
constexpr Age kAllowed = kLimit / 50;
constexpr WallTime k1970{};
const WallTime k2098 = WallTime(std::chrono::sys_days(std::chrono::year(2098) / 1 / 1));

std::vector<TimeReading> at(std::vector<WallTime> times) {
  std::vector<TimeReading> readings;
  for (const WallTime time : times) {
    readings.push_back({"https://host-" + std::to_string(readings.size()), time});
  }
  return readings;
}

TEST(FirstAgeTest, AClockThatIsConfirmedIsBelievedToFiveMinutes) {
  const WallTime created = kTrue - 40min;
  for (const Age off : {Age(0), Age(4min), -Age(4min), Age(5min), -Age(5min)}) {
    const FirstAge first = first_age(created, kTrue + off, at({kTrue}), std::nullopt);
    EXPECT_EQ(first.age, 40min + off);
    EXPECT_EQ(first.alarm, "");
  }
  for (const Age off : {Age(5min + 1ms), -Age(5min + 1ms)}) {
    const FirstAge first = first_age(created, kTrue + off, at({kTrue}), std::nullopt);
    EXPECT_EQ(first.age, 40min) << "the answer's date";
    EXPECT_THAT(first.alarm, HasSubstr("the clock of this machine is"));
  }
}

TEST(FirstAgeTest, WhateverTheClockSaysAtBootTheErrorIsSmall) {
  const WallTime created = kTrue - 20min;
  const Age life = 12min;  // the fuse's first tick came eight minutes after the creation
  for (const WallTime wall : {kTrue - 1h, kTrue + 1h, kTrue - 24h, kTrue + 24h, k1970, k2098}) {
    for (const auto& readings : {at({kTrue}), at({kTrue, kTrue + 2min}), at({})}) {
      for (const auto& by_fuse : {std::optional<Age>(life), std::optional<Age>()}) {
        if (readings.empty() && !by_fuse) continue;  // nothing there to tell
        const FirstAge first = first_age(created, wall, readings, by_fuse);
        EXPECT_LE(std::chrono::abs(first.age - 20min), kAllowed)
            << format_utc(wall) << " " << readings.size() << " " << by_fuse.has_value();
        EXPECT_NE(first.alarm, "") << format_utc(wall);
        EXPECT_GE(first.age, by_fuse.value_or(Age::zero())) << "the fuse never extends a life";
      }
    }
  }
}

TEST(FirstAgeTest, AServerWhoseClockIsWrongIsOutvotedAndTold) {
  const WallTime created = kTrue - 20min;
  const FirstAge first = first_age(created, kTrue, at({kTrue + 1min, k2098}), std::nullopt);
  EXPECT_EQ(first.age, 20min);
  EXPECT_THAT(first.alarm, HasSubstr("https://host-1"));
  // Two that agree are believed against this machine and a third.
  EXPECT_EQ(first_age(created, k1970, at({k2098, kTrue, kTrue + 1min}), std::nullopt).age, 21min);
}

// Nobody agrees with anybody: what ends the instance earlier.
TEST(FirstAgeTest, OfReadingsThatAllDisagreeTheLatestIsTaken) {
  const FirstAge first = first_age(kTrue - 20min, k1970, at({kTrue, kTrue + 30min}), std::nullopt);
  EXPECT_EQ(first.age, 50min);
  EXPECT_NE(first.alarm, "");
}

TEST(FirstAgeTest, WithoutAnyoneElseTheClockIsBelieved) {
  EXPECT_EQ(first_age(kTrue - 3h, kTrue, {}, std::nullopt).age, 3h);
  EXPECT_EQ(first_age(kTrue + 1h, kTrue, {}, std::nullopt).age, 0s);
  const FirstAge near = first_age(kTrue - 3h, kTrue, {}, 3h - kUnseenStart);
  EXPECT_EQ(near.age, 3h);
  EXPECT_EQ(near.alarm, "");
  EXPECT_NE(first_age(kTrue - 3h, kTrue, {}, 3h - kUnseenStart - 1ms).alarm, "");
}

// From the first reading on only the clock since boot counts: a hundredfold, back, or a day ahead.
TEST(FirstAgeTest, WhatTheWallClockDoesLaterChangesNothing) {
  FakeClock clock;
  clock.jumped = -24h;  // wrong at boot
  const FirstAge first = first_age(kTrue - 20min, clock.now(), at({kTrue}), std::nullopt);
  const AgeMeter meter(clock.now() - first.age, std::nullopt, "boot", clock);
  EXPECT_EQ(meter.age(), 20min);
  for (const Age jump : {Age(24h), -Age(24h), Age(1000h)}) {
    clock.jumped = jump;
    clock.elapsed += 1min;
  }
  EXPECT_EQ(meter.age(), 23min);
}

TEST(HttpDateTest, ReadsWhatServersSend) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            WallTime(std::chrono::seconds(784111777)));
  for (const char* bad : {"", "yesterday", "Sun, 06 Nov 1994 08:49:37", "784111777",
                          "Sun, 06 Nov 1994 08:49:37 GMT+2"}) {
    EXPECT_EQ(parse_http_date(bad), std::nullopt) << bad;
  }
}

TEST(HttpDateTest, AsksEachHostAndLeavesOutThoseThatDoNotSay) {
  const RawServer dated(
      {{"HTTP/1.1 403 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "Content-Length: 0\r\n\r\n"}});
  const RawServer silent({{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  CurlHttpClient http;
  const auto readings =
      ask_the_time(http, {silent.url(), dated.url(), "http://127.0.0.1:9/", "http://192.0.2.1/"});
  ASSERT_EQ(readings.size(), 1U);
  EXPECT_EQ(readings[0].time, WallTime(std::chrono::seconds(784111777)));
}

class LifeByFuseTest : public TemporaryFolder {
 protected:
  const SteadyTime now_{1000s};
};

TEST_F(LifeByFuseTest, GoesOnFromTheLastTickOfThisBoot) {
  put("life", "boot-a 940 120 1790000000\n");
  EXPECT_EQ(life_by_fuse(folder_, "boot-a", now_), 180s);
  EXPECT_EQ(life_by_fuse(folder_, "boot-a", SteadyTime(930s)), 120s);
  EXPECT_EQ(life_by_fuse(folder_, "boot-b", now_), std::nullopt);
}

TEST_F(LifeByFuseTest, AFileThatSaysNothingIsNone) {
  EXPECT_EQ(life_by_fuse(folder_, "boot-a", now_), std::nullopt);
  for (const char* text : {"", "boot-a", "boot-a x 120 1", "boot-a 940 -5 1", "boot-a 940"}) {
    put("life", text);
    EXPECT_EQ(life_by_fuse(folder_, "boot-a", now_), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace mayfly
