// The rows that a run's data section names, where each set of them comes from, and which of them
// are held out: by val_path, else test_size of each source by data.seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/records.h"

namespace mayfly {

// A stretch of the rows: those of data.path, or of one entry of data.mix.
struct RowSource {
  std::string name;         // "" of data.path; else its name, or its first file without folders
  std::int64_t weight = 1;  // core/text/mix.h
  std::size_t begin = 0;    // of `own`
  std::size_t end = 0;
};

struct DataRows {
  FileRows own;                    // at most sample_size
  std::vector<RowSource> sources;  // one behind the other; at least one
  std::vector<bool> held_out;      // one flag for each of `own`
  FileRows validation;             // of data.val_path
};

// Its name, else its first file without folders.
std::string source_name(const MixSource& source);

// Of a mix, sample_size is shared out by weight: the first rows of each source, at least one of
// each. Errors: those of read_rows.
Result<DataRows> read_data_rows(const DataConfig& config);

}  // namespace mayfly
