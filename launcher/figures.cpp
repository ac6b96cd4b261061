#include "launcher/figures.h"

#include <cmath>

#include "core/clock.h"

namespace mayfly {

std::string duration(double seconds) {
  return format_duration(std::chrono::seconds(std::llround(seconds)));
}

std::string format_gb(std::int64_t bytes) {
  return number("%.1f GB", static_cast<double>(bytes) / static_cast<double>(kGigabyte));
}

}  // namespace mayfly
