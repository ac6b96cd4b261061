#include "core/provider/vendor_time.h"

#include <charconv>
#include <optional>
#include <string>

namespace mayfly {

namespace {

// Two digits, after `text` has been cut by them and by `sign` in front.
std::optional<int> two_digits(std::string_view& text) {
  if (text.size() < 2) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 2, value);
  if (error != std::errc() || end != text.data() + 2 || value < 0) return std::nullopt;
  text.remove_prefix(2);
  return value;
}

// "Z", "", "+02:00", "-0700".
std::optional<std::chrono::minutes> offset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return std::chrono::minutes(0);
  const char sign = text.front();
  if (sign != '+' && sign != '-') return std::nullopt;
  text.remove_prefix(1);
  const auto hours = two_digits(text);
  if (!text.empty() && text.front() == ':') text.remove_prefix(1);
  const auto minutes = text.empty() ? std::optional<int>(0) : two_digits(text);
  if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::chrono::minutes total(*hours * 60 + *minutes);
  return sign == '-' ? -total : total;
}

}  // namespace

Result<WallTime> parse_vendor_time(std::string_view text) {
  const Error error{ErrorKind::corrupt, "not a time: \"" + std::string(text.substr(0, 64)) + "\""};
  constexpr std::size_t kToSeconds = 19;  // 2026-01-02T15:04:05
  if (text.size() < kToSeconds) return error;
  std::string to_the_second(text.substr(0, kToSeconds));
  if (to_the_second[10] == ' ' || to_the_second[10] == 't') to_the_second[10] = 'T';
  std::string_view rest = text.substr(kToSeconds);
  std::string fraction;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      if (fraction.size() < 3) fraction += rest.front();
      rest.remove_prefix(1);
    }
  }
  fraction.resize(3, '0');
  const auto east = offset(rest);
  const Result<WallTime> local = parse_utc(to_the_second + "." + fraction + "Z");
  if (!east || !local) return error;
  return *local - *east;
}

}  // namespace mayfly
