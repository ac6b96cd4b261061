#include "core/text/dataset.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "core/text/data_rows.h"
#include "core/text/row_encoder.h"

namespace mayfly {

namespace {

constexpr std::int64_t kRowsBetweenProgress = 256;

// "numbers-filtered-9188.jsonl" says that 9188 of its rows are meant (features.md L-19).
std::optional<std::int64_t> rows_meant_by_name(const std::vector<std::string>& files) {
  if (files.size() != 1) return std::nullopt;
  std::string_view name = files.front();
  constexpr std::string_view kBefore = "filtered-", kAfter = ".jsonl";
  if (!name.ends_with(kAfter)) return std::nullopt;
  name.remove_suffix(kAfter.size());
  const std::size_t at = name.rfind(kBefore);
  if (at == std::string_view::npos) return std::nullopt;
  name.remove_prefix(at + kBefore.size());
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), count);
  if (error != std::errc{} || end != name.data() + name.size() || count < 1) return std::nullopt;
  return count;
}

class RowEncoding {
 public:
  RowEncoding(const DataConfig& config, const TextModel& model, const DataProgress& progress,
              std::int64_t of)
      : config_(config), encoder_(model, config), progress_(progress), of_(of) {}

  Status add(const FileRow& row, std::vector<Example>& examples, DataCounts& counts);
  std::vector<std::string> warnings() const;

 private:
  Error untrained(const FileRow& row, bool was_cut) const;
  Status left_out(const FileRow& row, bool was_cut, DataCounts& counts);
  bool is_repeated(const Example& example);

  const DataConfig& config_;
  RowEncoder encoder_;
  const DataProgress& progress_;
  std::int64_t of_;
  std::int64_t done_ = 0;
  std::int64_t dropped_ = 0;
  std::string first_dropped_;
  std::set<std::pair<std::vector<TokenId>, std::vector<std::uint8_t>>> seen_;  // dedup: exact
};

Error RowEncoding::untrained(const FileRow& row, bool was_cut) const {
  const FileLocation at{row.file, row.record.line};
  if (was_cut) {
    return Error{ErrorKind::bad_data,
                 "no token is trained: the answer is beyond data.cutoff_len = " +
                     std::to_string(config_.cutoff_len) + " tokens",
                 "raise data.cutoff_len, remove the row, or set data.mask_check: warn", at};
  }
  return Error{ErrorKind::bad_data,
               "no token is trained: the chat template does not show the assistant's answer",
               "remove the row, set data.train_on: all, or data.mask_check: warn", at};
}

Status RowEncoding::left_out(const FileRow& row, bool was_cut, DataCounts& counts) {
  Error error = untrained(row, was_cut);
  if (config_.mask_check == MaskCheck::error) return error;
  if (++dropped_ == 1) first_dropped_ = located_message(error);
  ++counts.dropped;
  return Unit{};
}

bool RowEncoding::is_repeated(const Example& example) {
  return config_.dedup == Dedup::exact && !seen_.emplace(example.ids, example.trained).second;
}

Status RowEncoding::add(const FileRow& row, std::vector<Example>& examples, DataCounts& counts) {
  auto example = encoder_.encode(row.record);
  if (!example) {
    example.error().at = {row.file, row.record.line};
    return std::move(example.error());
  }
  if (++done_ % kRowsBetweenProgress == 0 && progress_) progress_(done_, of_);
  if (is_repeated(*example)) {
    ++counts.duplicates;
    return Unit{};
  }
  const auto whole = static_cast<std::int64_t>(example->ids.size());
  const bool is_long = whole > config_.cutoff_len;
  if (is_long && config_.truncation == Truncation::drop) {
    ++counts.too_long;
    return Unit{};
  }
  if (is_long && config_.truncation == Truncation::error) {
    return Error{ErrorKind::bad_data,
                 "the row has " + std::to_string(whole) +
                     " tokens, more than data.cutoff_len = " + std::to_string(config_.cutoff_len),
                 "raise data.cutoff_len, or let data.truncation cut or drop such rows",
                 {row.file, row.record.line}};
  }
  truncate(*example, config_.cutoff_len, config_.truncation == Truncation::keep_end);
  const auto size = static_cast<std::int64_t>(example->ids.size());
  const auto trained = static_cast<std::int64_t>(example->trained_count());
  if (trained == 0) return left_out(row, is_long, counts);
  counts.truncated += is_long;
  counts.tokens_cut += whole - size;
  ++counts.examples;
  counts.tokens += size;
  counts.tokens_trained_on += trained;
  counts.longest = std::max(counts.longest, size);
  examples.push_back(std::move(*example));
  return Unit{};
}

std::vector<std::string> RowEncoding::warnings() const {
  if (dropped_ == 0 || config_.mask_check == MaskCheck::off) return {};
  return {std::to_string(dropped_) + (dropped_ == 1 ? " row is" : " rows are") +
          " left out; the first: " + first_dropped_};
}

}  // namespace

Result<Dataset> load_dataset(const DataConfig& config, const TextModel& model,
                             const DataProgress& progress) {
  if (config.path.empty()) {
    return Error{ErrorKind::invalid_config, "data.path is not set",
                 "name a JSONL file: --data FILE"};
  }
  const auto rows = read_data_rows(config);
  if (!rows) return rows.error();
  const std::size_t count = rows->own.rows.size();
  const std::int64_t most =
      config.max_train_samples.value_or(rows_meant_by_name(config.path).value_or(INT64_MAX));
  Dataset data;
  data.train_counts.blank_lines = rows->own.blank_lines;
  data.validation_counts.blank_lines = rows->validation.blank_lines;
  RowEncoding encoding(config, model, progress,
                       static_cast<std::int64_t>(count + rows->validation.rows.size()));
  // What is held out comes first, so that a row that repeats it is not trained on.
  for (std::size_t i = 0; i < count; ++i) {
    if (!rows->held_out[i]) continue;
    const Status added = encoding.add(rows->own.rows[i], data.validation, data.validation_counts);
    if (!added) return added.error();
  }
  for (const FileRow& row : rows->validation.rows) {
    const Status added = encoding.add(row, data.validation, data.validation_counts);
    if (!added) return added.error();
  }
  for (std::size_t i = 0; i < count && data.train_counts.examples < most; ++i) {
    if (rows->held_out[i]) continue;
    const Status added = encoding.add(rows->own.rows[i], data.train, data.train_counts);
    if (!added) return added.error();
  }
  data.warnings = encoding.warnings();
  if (data.train.empty()) {
    return Error{ErrorKind::bad_data, "no row is left to train on", {}, {config.path.front()}};
  }
  return data;
}

}  // namespace mayfly
