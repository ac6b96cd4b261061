// Money as whole millionths of a US dollar. Vendors send cents, decimal texts and floats; each is
// turned into this at the edge, once, and never back into a double for arithmetic.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

struct Usd {
  std::int64_t micros = 0;

  friend auto operator<=>(const Usd&, const Usd&) = default;
  friend Usd operator+(Usd a, Usd b) {
    return {a.micros + b.micros};
  }
  friend Usd operator-(Usd a, Usd b) {
    return {a.micros - b.micros};
  }
  friend Usd operator*(Usd a, std::int64_t n) {
    return {a.micros * n};
  }
};

constexpr Usd dollars(std::int64_t whole) {
  return {whole * 1'000'000};
}
constexpr Usd cents(std::int64_t whole) {
  return {whole * 10'000};
}

// Reads "12", "12.5", "0.001250": decimal, up to six places, not negative. Error: invalid_config.
Result<Usd> parse_usd(std::string_view text);

// "$17.92"; four decimals below ten cents, so that small bills do not read as nothing.
std::string format_usd(Usd amount);
// "17.92": the shortest decimal that reads back to the same amount.
std::string usd_decimal(Usd amount);

}  // namespace mayfly
