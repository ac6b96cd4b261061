// Several data sets as one: how many rows of each, which, and in what order. Pure.
//
// Weights become shares by counting, not by drawing lots: of N rows each source has N x its share,
// rounded so that they make N (largest remainder; of equal remainders the first source's). N is
//
//   first_exhausted   the most for which no source has to give a row twice;
//   all_exhausted     the fewest for which every row of every source is there.
//
// These are the two ends that `interleave_datasets` of HuggingFace datasets (4.x,
// stopping_strategy) reaches by chance, with the same names. Whole numbers only: the same on every
// machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/config/data_config.h"

namespace mayfly {

// A weight in millionths, as all that follows takes it.
std::int64_t mix_weight(double weight);

// How many of `total` rows come from each source; their sum is `total`. Weights are above 0, as
// many as make less than 2^62 with `total`.
std::vector<std::int64_t> mix_counts(std::span<const std::int64_t> weights, std::int64_t total);

// N of above, but at most `most`. `available`: rows of each source, above 0. For all_exhausted: -1
// when a source would be repeated more than kMostRepeats times.
inline constexpr std::int64_t kMostRepeats = 100;
std::int64_t mix_total(MixStrategy strategy, std::span<const std::int64_t> weights,
                       std::span<const std::int64_t> available, std::int64_t most);

struct MixedRow {
  std::uint32_t source;
  std::uint32_t row;  // of that source, from 0
};

// `counts` rows of each source, evenly spread over the whole, each source's in its own order. Where
// not all of a source's rows are wanted, `seed` chooses which; where more are, each is there as
// often as the others or once more, and `seed` chooses which of them are.
std::vector<MixedRow> mix_rows(std::span<const std::int64_t> available,
                               std::span<const std::int64_t> counts, std::uint64_t seed);

}  // namespace mayfly
