#include "core/usd.h"

#include <array>
#include <cstdio>

namespace mayfly {

Result<Usd> parse_usd(std::string_view text) {
  const Error bad{ErrorKind::invalid_config,
                  "\"" + std::string(text) + "\" is not an amount of dollars such as 12 or 0.75"};
  std::int64_t micros = 0;
  int places = -1;  // -1: before the point
  bool any_digit = false;
  for (const char c : text) {
    if (c == '.' && places < 0) {
      places = 0;
    } else if (c >= '0' && c <= '9') {
      any_digit = true;
      if (places >= 6) {
        if (c != '0') return bad;
        continue;
      }
      micros = micros * 10 + (c - '0');
      if (places >= 0) ++places;
      if (micros > 1'000'000'000'000'000) return bad;  // so that what follows cannot overflow
    } else {
      return bad;
    }
  }
  if (!any_digit) return bad;
  constexpr std::int64_t kMost = 1'000'000'000'000'000;  // a thousand million dollars
  for (int p = places < 0 ? 0 : places; p < 6 && micros <= kMost; ++p) micros *= 10;
  if (micros > kMost) return bad;
  return Usd{micros};
}

std::string format_usd(Usd amount) {
  const char* sign = amount.micros < 0 ? "-" : "";
  const double value =
      static_cast<double>(amount.micros < 0 ? -amount.micros : amount.micros) / 1e6;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), value > 0 && value < 0.1 ? "%s$%.4f" : "%s$%.2f", sign,
                value);
  return text.data();
}

std::string usd_decimal(Usd amount) {
  const std::int64_t positive = amount.micros < 0 ? -amount.micros : amount.micros;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s%lld.%06lld", amount.micros < 0 ? "-" : "",
                static_cast<long long>(positive / 1'000'000),
                static_cast<long long>(positive % 1'000'000));
  std::string decimal = text.data();
  while (decimal.back() == '0') decimal.pop_back();
  if (decimal.back() == '.') decimal.pop_back();
  return decimal;
}

}  // namespace mayfly
