// What a data set has, in figures: for plans, cards and events.
#pragma once

#include <cstdint>
#include <string>

namespace mayfly {

struct DataCounts {
  std::int64_t examples = 0;  // what is left to train on
  std::int64_t tokens = 0;
  std::int64_t tokens_trained_on = 0;
  std::int64_t longest = 0;      // tokens of the longest example
  std::int64_t truncated = 0;    // rows cut to cutoff_len
  std::int64_t split = 0;        // rows made several examples (truncation: split)
  std::int64_t too_long = 0;     // rows left out for their length (truncation: drop)
  std::int64_t duplicates = 0;   // rows left out as repeated (dedup)
  std::int64_t tokens_cut = 0;   // what they lost
  std::int64_t dropped = 0;      // rows without a trained token (mask_check: warn or off)
  std::int64_t blank_lines = 0;  // of all files
  // What batches are made of, and the tokens of the longest: examples, or packs of them.
  std::int64_t sequences = 0;
  std::int64_t longest_sequence = 0;
};

// Adds all but what is about sequences.
void add_counts(DataCounts& to, const DataCounts& more);

// One entry of data.mix: what it could give, and what was taken.
struct SourceCounts {
  std::string name;
  double share = 0;            // that its weight asks for, 0 to 1
  std::int64_t available = 0;  // rows to train on
  std::int64_t rows = 0;       // taken; more than there are: some are repeated
  std::int64_t tokens = 0;
  std::int64_t tokens_trained_on = 0;
};

}  // namespace mayfly
