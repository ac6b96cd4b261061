// Time, as a seam: wall time for bills and stamps, steady time for time-outs and idleness.
// Nothing outside clock.cpp asks the system for the time (tests/tidy_test.cpp looks).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
// Counts suspended time too (CLOCK_BOOTTIME), and never goes back.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::milliseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime now() = 0;
  virtual SteadyTime steady_now() = 0;
  virtual void sleep_for(std::chrono::milliseconds duration) = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime now() override;
  SteadyTime steady_now() override;
  void sleep_for(std::chrono::milliseconds duration) override;
};

// "2026-11-22T14:02:11.482Z" (RFC 3339, UTC, milliseconds).
std::string format_utc(WallTime time);
// Reads what format_utc writes; also without the fraction. Error: corrupt.
Result<WallTime> parse_utc(std::string_view text);

// "0h41m", "12s", "2d03h": the two largest units, for people.
std::string format_duration(std::chrono::seconds duration);

}  // namespace mayfly
