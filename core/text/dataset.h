// The data of a run: files to examples, split and counted. The launcher counts with it, the trainer
// trains with it, so both see the same.
//
// In this order: the first `sample_size` rows of all files together; rows held out (val_path, else
// test_size by data.seed); at most max_train_samples of the others; tokens; what is longer than
// cutoff_len by `truncation`; rows without a trained token by mask_check; repeated rows by dedup;
// the shares of data.mix; packs (pack_sequences). Of a mix the first two are of each source, and
// max_train_samples is of what is mixed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/chat.h"
#include "core/text/data_counts.h"
#include "core/text/packing.h"
#include "core/text/row_encoding.h"
#include "core/text/text_model.h"

namespace mayfly {

struct Dataset {
  std::vector<Example> train;
  std::vector<Pack> sequences;  // of `train`; without pack_sequences one example each
  std::vector<Example> validation;
  DataCounts train_counts;
  DataCounts validation_counts;
  std::vector<SourceCounts> sources;  // of data.mix; else empty
  // With data.save_splits the rows of `train` and `validation` as their files have them, JSON.
  std::vector<std::string> train_rows;
  std::vector<std::string> validation_rows;
  std::vector<std::string> warnings;  // for people; few, with the first place of each kind
};

// Reads and encodes everything; memory: 5 bytes a token and the text of the files. 7,473 GSM8K rows
// (1.6 M tokens) take under a second. `progress` may be empty. Errors: not_found, bad_data with
// file and line, unsupported.
Result<Dataset> load_dataset(const DataConfig& config, const TextModel& model,
                             const DataProgress& progress);

// Writes train.jsonl and, of held-out rows, validation.jsonl into `folder`, which is made if it is
// not there; each is there whole or as it was before. Errors as write_file.
Status write_splits(const Dataset& data, const std::filesystem::path& folder);

}  // namespace mayfly
