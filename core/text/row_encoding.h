// Rows to what is trained of them: tokens, cut to data.cutoff_len, without what is repeated
// (data.dedup) or trains nothing (data.mask_check).
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/config/data_config.h"
#include "core/result.h"
#include "core/text/chat.h"
#include "core/text/data_counts.h"
#include "core/text/near_duplicates.h"
#include "core/text/records.h"
#include "core/text/row_encoder.h"
#include "core/text/text_model.h"

namespace mayfly {

// Called now and then with the rows done and to do.
using DataProgress = std::function<void(std::int64_t done, std::int64_t of)>;

// One thread. What the constructor is given must outlive it; `of` rows are to come.
class RowEncoding {
 public:
  RowEncoding(const DataConfig& config, const TextModel& model, const DataProgress& progress,
              std::int64_t of)
      : config_(config), encoder_(model, config), progress_(progress), of_(of) {}

  // The row's examples: one, several (truncation: split) or none. Errors: bad_data with file and
  // line, unsupported.
  Status add(const FileRow& row, std::vector<Example>& examples, DataCounts& counts);
  // For people: what was left out, with its first place.
  std::vector<std::string> warnings() const;

 private:
  Error untrained(const FileRow& row, bool was_cut) const;
  Status left_out(const FileRow& row, bool was_cut, DataCounts& counts);
  Status add_pieces(const FileRow& row, const Example& whole, std::vector<Example>& examples,
                    DataCounts& counts);
  bool is_repeated(const FileRow& row, const Example& example);

  const DataConfig& config_;
  RowEncoder encoder_;
  const DataProgress& progress_;
  std::int64_t of_;
  std::int64_t done_ = 0;
  std::int64_t dropped_ = 0;
  std::string first_dropped_;
  std::set<std::pair<std::vector<TokenId>, std::vector<std::uint8_t>>> seen_;  // dedup: exact, near
  NearDuplicates near_;                                                        // dedup: near
};

}  // namespace mayfly
