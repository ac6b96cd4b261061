// A machine that is believed gone and is not costs money until somebody looks. So these tests are
// about the ways a provider can say "yes" without meaning it.
#include "core/provider/destroy.h"

#include <gtest/gtest.h>

#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_provider.h"

namespace mayfly {
namespace {

using namespace std::chrono_literals;

constexpr DestroyPatience kPatience{.first_wait = 5s, .longest_wait = 60s, .give_up_after = 30min};

TEST(DestroyUntilGoneTest, BelievesTheStateAndNotTheAcceptedRequest) {
  FakeClock clock;
  FakeProvider provider;
  provider.states = {InstanceState::running, InstanceState::terminating, InstanceState::gone};

  EXPECT_TRUE(destroy_until_gone(provider, "i-1", clock, kPatience));

  EXPECT_EQ(provider.terminate_calls, 3);
  EXPECT_EQ(clock.elapsed, 5s + 10s);
}

TEST(DestroyUntilGoneTest, TakesAnInstanceThatIsNotListedAnyMoreForGone) {
  FakeClock clock;
  FakeProvider provider;
  provider.terminate_answer = Error{ErrorKind::not_found, "no such instance"};
  provider.get_error = Error{ErrorKind::not_found, "no such instance"};

  EXPECT_TRUE(destroy_until_gone(provider, "i-1", clock, kPatience));
  EXPECT_EQ(clock.elapsed, 0s);
}

TEST(DestroyUntilGoneTest, DoesNotTakeAListingThatFailedForGone) {
  FakeClock clock;
  FakeProvider provider;
  provider.get_error = Error{ErrorKind::unreachable, "503 from the provider"};

  const Status status = destroy_until_gone(provider, "i-1", clock, kPatience);

  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "destroying instance i-1: 503 from the provider");
}

TEST(DestroyUntilGoneTest, StopsAtOnceWhenTheTokenIsRefused) {
  FakeClock clock;
  FakeProvider provider;
  provider.terminate_answer = Error{ErrorKind::unauthorized, "401 from the provider"};

  const Status status = destroy_until_gone(provider, "i-1", clock, kPatience);

  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "destroying instance i-1: 401 from the provider");
  EXPECT_EQ(clock.elapsed, 0s);
}

TEST(DestroyUntilGoneTest, GivesUpAfterItsPatience) {
  FakeClock clock;
  FakeProvider provider;
  provider.states = {InstanceState::terminating};

  const Status status = destroy_until_gone(provider, "i-1", clock, kPatience);

  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::outcome_unknown);
  EXPECT_GE(clock.elapsed, kPatience.give_up_after);
  EXPECT_LE(clock.elapsed, kPatience.give_up_after + kPatience.longest_wait);
}

}  // namespace
}  // namespace mayfly
