// Time that passes only when a client sleeps, for a client and a server on different threads.
#pragma once

#include <atomic>

#include "core/clock.h"

namespace mayfly {

class VirtualClock final : public Clock {
 public:
  static constexpr WallTime kBegin{std::chrono::milliseconds(1'790'000'000'000)};

  WallTime now() override {
    return kBegin + elapsed();
  }
  SteadyTime steady_now() override {
    return SteadyTime(std::chrono::hours(1)) + elapsed();
  }
  void sleep_for(std::chrono::milliseconds duration) override {
    passed_ += duration.count();
  }
  std::chrono::milliseconds elapsed() const {
    return std::chrono::milliseconds(passed_.load());
  }

 private:
  std::atomic<std::int64_t> passed_{0};
};

}  // namespace mayfly
