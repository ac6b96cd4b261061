// Numbers for the tests of kernels: seeded, of any type, and how far two of them may be apart.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cuda/number.h"

namespace mayfly::cuda {

// Normally distributed, the same for the same seed.
template <class T>
std::vector<T> random_numbers(std::size_t count, unsigned seed, float deviation = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<T> numbers(count);
  for (T& number : numbers) number = from_float<T>(normal(random));
  return numbers;
}

template <class T>
std::vector<double> as_doubles(const std::vector<T>& numbers) {
  std::vector<double> doubles(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) doubles[i] = to_float(numbers[i]);
  return doubles;
}

// Half a unit in the last place, relative: what one rounding to T costs.
template <class T>
double half_ulp() {
  if constexpr (std::is_same_v<T, float>) return 0x1p-24;
  if constexpr (std::is_same_v<T, Bf16>) return 0x1p-8;
  return 0x1p-11;
}

template <class T>
const char* type_name() {
  if constexpr (std::is_same_v<T, float>) return "fp32";
  if constexpr (std::is_same_v<T, Bf16>) return "bf16";
  return "fp16";
}

// The greatest difference, where `roundings` to T relative to the number itself and `absolute`
// beside them are free; below 1 is equal. Numbers that are no numbers are infinitely apart.
template <class T>
double excess(const std::vector<T>& got, const std::vector<double>& want, double roundings,
              double absolute) {
  double worst = got.size() == want.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < got.size() && i < want.size(); ++i) {
    const double allowed = std::abs(want[i]) * roundings * half_ulp<T>() + absolute;
    const double difference = std::abs(to_float(got[i]) - want[i]) / allowed;
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  return worst;
}

}  // namespace mayfly::cuda
