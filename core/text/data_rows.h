// The rows that a run's data section names, and which of them are held out: by val_path, else
// test_size by data.seed.
#pragma once

#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/records.h"

namespace mayfly {

struct DataRows {
  FileRows own;                // of data.path, at most sample_size
  std::vector<bool> held_out;  // one flag for each of `own`
  FileRows validation;         // of data.val_path
};

// Errors: those of read_rows.
Result<DataRows> read_data_rows(const DataConfig& config);

}  // namespace mayfly
