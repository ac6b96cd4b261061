// What a data set is like, and what is wrong with it, before anything is paid for: lengths, what
// cutoff_len costs, rows that train nothing, answers whose end is not trained, repeated rows, rows
// that are trained on and held out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/text_model.h"

namespace mayfly {

// One kind of thing that is not as it should be.
struct DataFinding {
  std::string what;  // "rows of which nothing is trained"
  std::string hint;
  bool is_error = false;  // training would not begin, or would not teach what is meant
  std::int64_t rows = 0;
  FileLocation first;
  std::optional<FileLocation> like;  // the row that `first` repeats or is near to
};

struct DataReport {
  std::int64_t rows = 0;  // read; held out ones, too
  std::int64_t held_out = 0;
  std::int64_t blank_lines = 0;
  std::int64_t tokens = 0;            // before any cut
  std::int64_t tokens_trained = 0;    // before any cut
  std::vector<std::int64_t> lengths;  // tokens of each row, ascending
  std::vector<DataFinding> findings;  // errors first

  // Tokens of the row below which `share` of the rows are, 0 for no row.
  std::int64_t length_at(double share) const;
  // Rows longer than that, and what they lose.
  std::int64_t rows_beyond(std::int64_t cutoff_len) const;
  std::int64_t tokens_beyond(std::int64_t cutoff_len) const;
};

// Reads and encodes everything as training would. Errors: those of read_rows (a file or a line that
// cannot be read at all), and of a model without what the rows need.
// Rows that are near (near_duplicates.h) are looked for only where asked: that takes twice as long.
enum class LookForNear { no, yes };
Result<DataReport> examine_data(const DataConfig& config, const TextModel& model, LookForNear near);

}  // namespace mayfly
