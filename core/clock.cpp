#include "core/clock.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <thread>

#include <time.h>

namespace mayfly {

using namespace std::chrono;

WallTime SystemClock::now() {
  return time_point_cast<milliseconds>(system_clock::now());
}

SteadyTime SystemClock::steady_now() {
  timespec at{};
  clock_gettime(CLOCK_BOOTTIME, &at);
  return SteadyTime(seconds(at.tv_sec) + duration_cast<milliseconds>(nanoseconds(at.tv_nsec)));
}

void SystemClock::sleep_for(milliseconds duration) {
  std::this_thread::sleep_for(duration);
}

std::string format_utc(WallTime time) {
  const auto whole = floor<seconds>(time);
  const std::time_t unix_seconds = whole.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&unix_seconds, &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                parts.tm_sec, static_cast<int>((time - whole).count()));
  return text.data();
}

Result<WallTime> parse_utc(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  double second = 0;
  int used = 0;
  const int fields =
      std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%lfZ%n", &parts.tm_year, &parts.tm_mon,
                  &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &second, &used);
  if (fields != 6 || static_cast<std::size_t>(used) != copy.size()) {
    return Error{ErrorKind::corrupt, "not a UTC time: \"" + copy + "\""};
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const std::time_t minutes_part = timegm(&parts);
  return WallTime(seconds(minutes_part) +
                  milliseconds(static_cast<std::int64_t>(second * 1000.0 + 0.5)));
}

std::string format_duration(seconds duration) {
  const std::int64_t total = duration.count() < 0 ? 0 : duration.count();
  std::array<char, 64> text{};
  if (total < 60) {
    std::snprintf(text.data(), text.size(), "%llds", static_cast<long long>(total));
  } else if (total < 3600) {
    std::snprintf(text.data(), text.size(), "%lldm%02llds", static_cast<long long>(total / 60),
                  static_cast<long long>(total % 60));
  } else if (total < 86400) {
    std::snprintf(text.data(), text.size(), "%lldh%02lldm", static_cast<long long>(total / 3600),
                  static_cast<long long>(total / 60 % 60));
  } else {
    std::snprintf(text.data(), text.size(), "%lldd%02lldh", static_cast<long long>(total / 86400),
                  static_cast<long long>(total / 3600 % 24));
  }
  return text.data();
}

}  // namespace mayfly
