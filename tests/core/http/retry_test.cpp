// Waiting too little makes a hub refuse us for longer; waiting too long pays a machine for nothing.
#include "core/http/retry.h"

#include <gtest/gtest.h>

namespace mayfly {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class StandingClock final : public Clock {
 public:
  WallTime now() override {
    return WallTime(time_);
  }
  SteadyTime steady_now() override {
    return SteadyTime(time_);
  }
  void sleep_for(milliseconds duration) override {
    time_ += duration;
  }

 private:
  milliseconds time_{1'000'000};
};

HttpResponse with_header(const std::string& name, const std::string& value) {
  HttpResponse response;
  response.status = 429;
  response.headers = {{name, value}};
  return response;
}

TEST(RetryTest, KnowsWhichAnswersMayChange) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504, 507, 520}) {
    EXPECT_TRUE(is_transient_status(status)) << status;
  }
  for (const int status : {200, 304, 400, 401, 403, 404, 409, 412, 413, 416, 501, 505}) {
    EXPECT_FALSE(is_transient_status(status)) << status;
  }
}

TEST(RetryTest, RepeatsAnUnclearRequestOnlyWhereThatIsHarmless) {
  EXPECT_TRUE(is_transient({ErrorKind::unreachable, ""}, false));
  EXPECT_TRUE(is_transient({ErrorKind::outcome_unknown, ""}, true));
  EXPECT_FALSE(is_transient({ErrorKind::outcome_unknown, ""}, false));
  EXPECT_FALSE(is_transient({ErrorKind::unauthorized, ""}, true));
}

TEST(RetryTest, WaitsDoubleUpToTheLongestWithFullJitter) {
  Backoff backoff({}, 7);
  std::int64_t ceiling = 1000;
  std::int64_t longest = 0;
  bool some_are_short = false;
  for (int attempt = 0; attempt < 200; ++attempt) {
    const std::int64_t wait = backoff.next(std::nullopt).count();
    EXPECT_GE(wait, 0);
    EXPECT_LE(wait, ceiling) << "attempt " << attempt;
    longest = std::max(longest, wait);
    if (attempt > 10) some_are_short = some_are_short || wait < 6000;
    ceiling = std::min<std::int64_t>(60000, ceiling * 2);
  }
  EXPECT_GT(longest, 50000);
  EXPECT_TRUE(some_are_short);
}

TEST(RetryTest, StartsShortAgainAfterProgress) {
  Backoff backoff({}, 7);
  for (int attempt = 0; attempt < 20; ++attempt) backoff.next(std::nullopt);
  backoff.reset();
  EXPECT_LE(backoff.next(std::nullopt), seconds(1));
}

TEST(RetryTest, TheSameSeedWaitsTheSame) {
  Backoff one({}, 3);
  Backoff same({}, 3);
  Backoff other({}, 4);
  const auto first = one.next(std::nullopt);
  EXPECT_EQ(first, same.next(std::nullopt));
  EXPECT_NE(first, other.next(std::nullopt));
}

TEST(RetryTest, HonoursWhatAServerAsksForUpToACap) {
  Backoff backoff({}, 1);
  EXPECT_GE(backoff.next(seconds(45)), seconds(45));
  EXPECT_EQ(backoff.next(seconds(120)), seconds(120));
  EXPECT_EQ(backoff.next(seconds(3600)), seconds(120));
  EXPECT_EQ(backoff.next(seconds(INT64_MAX)), seconds(120));
}

TEST(RetryTest, ReadsWhatAServerAsksFor) {
  EXPECT_EQ(asked_wait(with_header("Retry-After", "17")), seconds(17));
  EXPECT_EQ(asked_wait(with_header("retry-after", "0")), seconds(0));
  EXPECT_EQ(asked_wait(with_header("RateLimit", "\"api\";r=0;t=55")), seconds(56));
  // Something remains: the refusal is about something else than this window.
  EXPECT_EQ(asked_wait(with_header("RateLimit", "\"api\";r=12;t=55")), std::nullopt);
  EXPECT_EQ(asked_wait(with_header("Retry-After", "Sun, 22 Nov 2026 14:00:00 GMT")), std::nullopt);
  EXPECT_EQ(asked_wait(with_header("Retry-After", "-5")), std::nullopt);
  EXPECT_EQ(asked_wait(HttpResponse{}), std::nullopt);
}

TEST(RetryTest, EndsAtItsDeadlineAndNotLater) {
  StandingClock clock;
  const SteadyTime start = clock.steady_now();
  Retry retry(clock, Backoff({}, 1), seconds(300));
  int attempts = 0;
  while (retry.wait()) ++attempts;
  EXPECT_EQ(clock.steady_now() - start, seconds(300));
  EXPECT_GT(attempts, 8);
  EXPECT_EQ(retry.left(), milliseconds(0));
}

TEST(RetryTest, DoesNotSleepPastItsDeadlineWhenAskedTo) {
  StandingClock clock;
  const SteadyTime start = clock.steady_now();
  Retry retry(clock, Backoff({}, 1), seconds(10));
  EXPECT_TRUE(retry.wait(seconds(100)));
  EXPECT_EQ(clock.steady_now() - start, seconds(10));
  EXPECT_FALSE(retry.wait(seconds(100)));
  EXPECT_EQ(clock.steady_now() - start, seconds(10));
}

}  // namespace
}  // namespace mayfly
