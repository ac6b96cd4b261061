#include "core/text/data_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace mayfly {

namespace {

// Steele, Lea, Flood 2014: "Fast splittable pseudorandom number generators".
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t state) : state_(state) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound): values of the last, incomplete round are thrown away.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t uneven = (0 - bound) % bound;
    while (true) {
      const std::uint64_t value = next();
      if (value >= uneven) return value % bound;
    }
  }

 private:
  std::uint64_t state_;
};

std::vector<std::uint32_t> shuffled(std::uint64_t seed, std::uint64_t stream, std::size_t count) {
  // Seed and stream each pass the mixer, so that neighbouring seeds and epochs share nothing.
  SplitMix64 random(SplitMix64(seed).next() ^ SplitMix64(stream ^ 0x6d61796600000000).next());
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace

std::vector<std::uint32_t> data_order(std::uint64_t seed, std::int64_t epoch, std::size_t count,
                                      bool shuffle) {
  if (shuffle) return shuffled(seed, static_cast<std::uint64_t>(epoch), count);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

std::vector<bool> chosen_of(std::uint64_t seed, std::size_t count, std::size_t many) {
  std::vector<bool> chosen(count, false);
  // A stream of its own, far from those of the epochs.
  const auto order = shuffled(seed, ~std::uint64_t{0}, count);
  for (std::size_t i = 0; i < many; ++i) chosen[order[i]] = true;
  return chosen;
}

std::vector<bool> held_out_rows(std::uint64_t seed, std::size_t count, double test_size) {
  if (count < 2 || test_size <= 0) return std::vector<bool>(count, false);
  const double share = std::ceil(static_cast<double>(count) * test_size);
  const std::size_t many = std::min(static_cast<std::size_t>(share), count - 1);
  return chosen_of(seed, count, many);
}

}  // namespace mayfly
