#include "core/text/mix.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/text/data_order.h"

namespace mayfly {

namespace {

// The rows of one source, `count` of them in their own order, round by round.
std::vector<std::uint32_t> chosen_rows(std::int64_t available, std::int64_t count,
                                       std::uint64_t seed) {
  const auto rows = static_cast<std::size_t>(available);
  std::vector<std::uint32_t> all(rows);
  std::iota(all.begin(), all.end(), 0u);
  std::vector<std::uint32_t> chosen;
  chosen.reserve(static_cast<std::size_t>(count));
  for (std::int64_t whole = count / available; whole > 0; --whole) {
    chosen.insert(chosen.end(), all.begin(), all.end());
  }
  const std::vector<bool> is_wanted =
      chosen_of(seed, rows, static_cast<std::size_t>(count % available));
  for (std::size_t row = 0; row < rows; ++row) {
    if (is_wanted[row]) chosen.push_back(static_cast<std::uint32_t>(row));
  }
  return chosen;
}

bool all_within(std::span<const std::int64_t> counts, std::span<const std::int64_t> available) {
  return std::equal(counts.begin(), counts.end(), available.begin(), std::less_equal<>());
}

bool all_reach(std::span<const std::int64_t> counts, std::span<const std::int64_t> available) {
  return std::equal(counts.begin(), counts.end(), available.begin(), std::greater_equal<>());
}

}  // namespace

std::int64_t mix_weight(double weight) {
  return std::llround(weight * 1e6);
}

std::vector<std::int64_t> mix_counts(std::span<const std::int64_t> weights, std::int64_t total) {
  const std::int64_t all = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  assert(all > 0 && total >= 0 && total <= (INT64_MAX >> 1) / all);
  std::vector<std::int64_t> counts;
  std::vector<std::size_t> by_remainder(weights.size());
  std::iota(by_remainder.begin(), by_remainder.end(), std::size_t{0});
  std::int64_t left = total;
  for (const std::int64_t weight : weights) {
    counts.push_back(total * weight / all);
    left -= counts.back();
  }
  std::stable_sort(by_remainder.begin(), by_remainder.end(), [&](std::size_t a, std::size_t b) {
    return total * weights[a] % all > total * weights[b] % all;
  });
  for (std::size_t i = 0; left > 0; ++i, --left) ++counts[by_remainder[i]];
  return counts;
}

// Rounding moves a count by less than a row, so the N that is looked for is near the one without
// rounding, and the search is short; it starts where no row can be missing.
std::int64_t mix_total(MixStrategy strategy, std::span<const std::int64_t> weights,
                       std::span<const std::int64_t> available, std::int64_t most) {
  const std::int64_t all = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  const std::int64_t rows = std::accumulate(available.begin(), available.end(), std::int64_t{0});
  if (strategy == MixStrategy::first_exhausted) {
    std::int64_t total = std::min(rows, most);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      total = std::min(total, (available[i] + 1) * all / weights[i]);
    }
    while (!all_within(mix_counts(weights, total), available)) --total;
    return total;
  }
  std::int64_t total = rows;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    total = std::max(total, (available[i] - 1) * all / weights[i]);
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double share = static_cast<double>(weights[i]) / static_cast<double>(all);
    const double repeats = static_cast<double>(total) * share / static_cast<double>(available[i]);
    if (repeats > static_cast<double>(kMostRepeats)) return -1;
  }
  total = std::min(total, most);
  while (total < most && !all_reach(mix_counts(weights, total), available)) ++total;
  return total;
}

std::vector<MixedRow> mix_rows(std::span<const std::int64_t> available,
                               std::span<const std::int64_t> counts, std::uint64_t seed) {
  std::vector<MixedRow> mixed;
  std::vector<std::int64_t> places;  // of each row in its source's part: 2k + 1, of 2 x count
  for (std::uint32_t source = 0; source < counts.size(); ++source) {
    std::int64_t place = 1;
    for (const std::uint32_t row : chosen_rows(available[source], counts[source], ~seed - source)) {
      mixed.push_back({source, row});
      places.push_back(place);
      place += 2;
    }
  }
  // The k-th of n rows stands at (2k + 1) / 2n of the whole.
  std::vector<std::size_t> order(mixed.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return places[a] * counts[mixed[b].source] < places[b] * counts[mixed[a].source];
  });
  std::vector<MixedRow> spread;
  spread.reserve(mixed.size());
  for (const std::size_t i : order) spread.push_back(mixed[i]);
  return spread;
}

}  // namespace mayfly
