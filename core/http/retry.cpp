#include "core/http/retry.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace mayfly {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data() || value < 0) return std::nullopt;
  return value;
}

// The number after ";name=" in a header like `"api";r=0;t=55`.
std::optional<std::int64_t> parameter(std::string_view header, std::string_view name) {
  const std::string mark = ";" + std::string(name) + "=";
  const auto at = header.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  return whole_number(header.substr(at + mark.size()));
}

}  // namespace

bool is_transient_status(int status) {
  return status == 408 || status == 425 || status == 429 ||
         (status >= 500 && status != 501 && status != 505);
}

bool is_transient(const Error& error, bool may_repeat) {
  return error.kind == ErrorKind::unreachable || error.kind == ErrorKind::rate_limited ||
         (error.kind == ErrorKind::outcome_unknown && may_repeat);
}

std::optional<seconds> asked_wait(const HttpResponse& response) {
  if (const auto after = whole_number(response.header("Retry-After"))) return seconds(*after);
  const std::string_view limit = response.header("RateLimit");
  // With something remaining, the refusal has another reason than this window.
  if (parameter(limit, "r") != 0) return std::nullopt;
  const auto reset = parameter(limit, "t");
  return reset ? std::optional(seconds(*reset + 1)) : std::nullopt;
}

milliseconds Backoff::next(std::optional<seconds> asked) {
  milliseconds ceiling = policy_.first_wait;
  for (int i = 0; i < attempts_ && ceiling < policy_.longest_wait; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, policy_.longest_wait);
  ++attempts_;
  std::uniform_int_distribution<std::int64_t> jitter(0, ceiling.count());
  milliseconds wait(jitter(random_));
  if (asked) {
    // Compared in seconds: what a server asks for may be too large for milliseconds.
    const seconds cap = std::chrono::ceil<seconds>(policy_.longest_asked_wait);
    const milliseconds bounded = *asked < cap ? milliseconds(*asked) : policy_.longest_asked_wait;
    wait = std::max(wait, bounded);
  }
  return wait;
}

bool Retry::wait(std::optional<seconds> asked) {
  const milliseconds rest = left();
  if (rest.count() <= 0) return false;
  clock_.sleep_for(std::min(backoff_.next(asked), rest));
  return true;
}

milliseconds Retry::left() const {
  return std::max(milliseconds(0), deadline_ - clock_.steady_now());
}

}  // namespace mayfly
