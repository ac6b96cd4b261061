// Time that passes only when somebody sleeps, or when the test says so.
#pragma once

#include "core/clock.h"

namespace mayfly {

class FakeClock final : public Clock {
 public:
  WallTime now() override {
    return kBegin + elapsed + jumped;
  }
  SteadyTime steady_now() override {
    return SteadyTime(std::chrono::hours(1)) + elapsed;
  }
  void sleep_for(std::chrono::milliseconds duration) override {
    elapsed += duration;
  }

  static constexpr WallTime kBegin{std::chrono::milliseconds(1'790'000'000'000)};
  std::chrono::milliseconds elapsed{0};
  std::chrono::milliseconds jumped{0};  // of the wall clock alone
};

}  // namespace mayfly
