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

std::string grouped(std::int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0 && digits[i - 1] != '-') text += ',';
    text += digits[i];
  }
  return text;
}

}  // namespace mayfly
