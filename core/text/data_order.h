// Pseudo-random orders that are the same on every machine and for every compiler, and can be had
// for any epoch without those before: that is what makes exact resuming simple.
#pragma once

#include <cstdint>
#include <vector>

namespace mayfly {

// The order in which `count` examples are visited in `epoch` (from 0): a permutation of 0..count-1.
// `shuffle` false: the file's order. SplitMix64 and Fisher-Yates; the same for the same arguments,
// for ever.
std::vector<std::uint32_t> data_order(std::uint64_t seed, std::int64_t epoch, std::size_t count,
                                      bool shuffle);

// `many` of `count` rows, chosen by `seed`: one flag a row. `many` is at most `count`.
std::vector<bool> chosen_of(std::uint64_t seed, std::size_t count, std::size_t many);

// Which of `count` rows are held out when a share of `test_size` is: that many, rounded up, but
// never all, chosen by `seed`. One flag a row.
std::vector<bool> held_out_rows(std::uint64_t seed, std::size_t count, double test_size);

}  // namespace mayfly
