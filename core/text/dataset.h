// The data of a run: files to examples, split and counted. The launcher counts with it, the trainer
// trains with it, so both see the same.
//
// In this order: the first `sample_size` rows of all files together; rows held out (val_path, else
// test_size by data.seed); at most max_train_samples of the others; tokens; what is longer than
// cutoff_len by `truncation`; rows without a trained token by mask_check; repeated rows by dedup;
// packs (pack_sequences).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/chat.h"
#include "core/text/packing.h"
#include "core/text/text_model.h"

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

struct Dataset {
  std::vector<Example> train;
  std::vector<Pack> sequences;  // of `train`; without pack_sequences one example each
  std::vector<Example> validation;
  DataCounts train_counts;
  DataCounts validation_counts;
  std::vector<std::string> warnings;  // for people; few, with the first place of each kind
};

// Called now and then with the rows done and to do.
using DataProgress = std::function<void(std::int64_t done, std::int64_t of)>;

// Reads and encodes everything; memory: 5 bytes a token and the text of the files. 7,473 GSM8K rows
// (1.6 M tokens) take under a second. `progress` may be empty. Errors: not_found, bad_data with
// file and line, unsupported.
Result<Dataset> load_dataset(const DataConfig& config, const TextModel& model,
                             const DataProgress& progress);

}  // namespace mayfly
