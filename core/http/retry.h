// When to ask again, and how long to wait before: pure policy, and a pacer that sleeps on a Clock.
//
// Waits double from one second to sixty, each drawn anew between nothing and that ("full jitter"),
// so that many clients which failed together do not come back together. What the server asks for
// (Retry-After, RateLimit) is waited at least, up to a cap. Retries are bounded in time, not in
// number: a run that pays by the minute cares about minutes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/result.h"

namespace mayfly {

struct RetryPolicy {
  std::chrono::milliseconds first_wait{1000};
  std::chrono::milliseconds longest_wait{60000};
  std::chrono::milliseconds longest_asked_wait{120000};  // of what a server asks for
};

// 408, 425, 429 and 5xx but 501 and 505: the same request may succeed later.
bool is_transient_status(int status);
// unreachable, rate_limited and outcome_unknown; the last only for requests that may be repeated.
bool is_transient(const Error& error, bool may_repeat);

// How long the answer asks us to stay away: Retry-After in seconds, or the reset time of a
// `RateLimit: "api";r=0;t=55` header. nullopt: it does not say. A Retry-After with a date is not
// read (our clock may be wrong).
std::optional<std::chrono::seconds> asked_wait(const HttpResponse& response);

// The sequence of waits.
class Backoff {
 public:
  Backoff(RetryPolicy policy, std::uint64_t seed) : policy_(policy), random_(seed) {}
  std::chrono::milliseconds next(std::optional<std::chrono::seconds> asked);
  // After progress: the next wait is a short one again.
  void reset() {
    attempts_ = 0;
  }

 private:
  RetryPolicy policy_;
  std::mt19937_64 random_;
  int attempts_ = 0;
};

// A backoff with a last moment.
class Retry {
 public:
  Retry(Clock& clock, Backoff backoff, std::chrono::milliseconds within)
      : clock_(clock), backoff_(backoff), deadline_(clock.steady_now() + within) {}

  // Sleeps before the next attempt, at most until the deadline; false, at once, when that has
  // passed: give up.
  bool wait(std::optional<std::chrono::seconds> asked = std::nullopt);
  // A short budget beside this one, for tidying up after it is gone.
  Retry once() const {
    return Retry(clock_, backoff_, std::chrono::seconds(5));
  }
  void made_progress() {
    backoff_.reset();
  }
  std::chrono::milliseconds left() const;

 private:
  Clock& clock_;
  Backoff backoff_;
  SteadyTime deadline_;
};

}  // namespace mayfly
