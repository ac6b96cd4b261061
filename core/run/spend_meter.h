// What the instance has cost so far, and by when it must be destroyed.
//
// A provider bills wall-clock time from the moment it created the instance, in whole billing
// steps, whether or not anything runs on it. So the meter counts from the provider's creation
// time, not from the agent's start, and rounds up as the provider does.
//
// Pure integer arithmetic: the caller passes the time. Any thread. Never fails.
#pragma once

#include <chrono>

#include "core/clock.h"
#include "core/usd.h"

namespace mayfly {

// The offer as it stood when the instance was created.
struct Price {
  Usd per_hour;                          // of the whole instance, all its GPUs
  std::chrono::seconds billing_step{1};  // the last step is paid in full
};

class SpendMeter {
 public:
  // Requires price.per_hour >= 0 and price.billing_step > 0.
  SpendMeter(Price price, WallTime created_at);

  // Billed at `now`. A time before created_at (a clock that was set back) counts as nothing.
  Usd spent(WallTime now) const;

  // The last moment to start destroying so that the bill stays within `limit`, when destroying
  // takes up to `destroy_takes`. Never before created_at; WallTime::max() if the instance is free.
  WallTime destroy_by(Usd limit, std::chrono::seconds destroy_takes) const;

 private:
  Price price_;
  WallTime created_at_;
};

}  // namespace mayfly
