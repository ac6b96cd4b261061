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
  Status add_pieces(const FileRow& row, const Example& whole, std::vector<Example>& examples,
                    DataCounts& counts);
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

void tally(const Example& example, DataCounts& counts) {
  const auto size = static_cast<std::int64_t>(example.ids.size());
  ++counts.examples;
  counts.tokens += size;
  counts.tokens_trained_on += static_cast<std::int64_t>(example.trained_count());
  counts.longest = std::max(counts.longest, size);
}

// Pieces of which nothing is trained would be computed for nothing.
Status RowEncoding::add_pieces(const FileRow& row, const Example& whole,
                               std::vector<Example>& examples, DataCounts& counts) {
  if (whole.trained_count() == 0) return left_out(row, false, counts);
  ++counts.split;
  for (Example& piece : split(whole, config_.cutoff_len)) {
    if (piece.trained_count() == 0) {
      counts.tokens_cut += static_cast<std::int64_t>(piece.ids.size());
      continue;
    }
    tally(piece, counts);
    examples.push_back(std::move(piece));
  }
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
  if (is_long && config_.truncation == Truncation::split) {
    return add_pieces(row, *example, examples, counts);
  }
  truncate(*example, config_.cutoff_len, config_.truncation == Truncation::keep_end);
  if (example->trained_count() == 0) return left_out(row, is_long, counts);
  counts.truncated += is_long;
  counts.tokens_cut += whole - static_cast<std::int64_t>(example->ids.size());
  tally(*example, counts);
  examples.push_back(std::move(*example));
  return Unit{};
}

std::vector<std::string> RowEncoding::warnings() const {
  if (dropped_ == 0 || config_.mask_check == MaskCheck::off) return {};
  return {std::to_string(dropped_) + (dropped_ == 1 ? " row is" : " rows are") +
          " left out; the first: " + first_dropped_};
}

// Held-out examples are not packed: their loss has no batches that could differ in size.
void make_sequences(const DataConfig& config, Dataset& data) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(data.train.size());
  for (const Example& example : data.train) {
    lengths.push_back(static_cast<std::int64_t>(example.ids.size()));
  }
  // No room for a second example, where they are not to be packed.
  data.sequences = pack_best_fit(lengths, config.pack_sequences ? config.cutoff_len : 0);
  // As near to the file's order as packs can be.
  for (Pack& pack : data.sequences) std::sort(pack.begin(), pack.end());
  std::sort(data.sequences.begin(), data.sequences.end());
  data.train_counts.sequences = static_cast<std::int64_t>(data.sequences.size());
  for (const Pack& pack : data.sequences) {
    std::int64_t tokens = 0;
    for (const std::uint32_t example : pack) tokens += lengths[example];
    data.train_counts.longest_sequence = std::max(data.train_counts.longest_sequence, tokens);
  }
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
  std::int64_t used = 0;
  for (std::size_t i = 0; i < count && used < most; ++i) {
    if (rows->held_out[i]) continue;
    const std::size_t before = data.train.size();
    const Status added = encoding.add(rows->own.rows[i], data.train, data.train_counts);
    if (!added) return added.error();
    used += data.train.size() > before ? 1 : 0;
  }
  data.warnings = encoding.warnings();
  if (data.train.empty()) {
    return Error{ErrorKind::bad_data, "no row is left to train on", {}, {config.path.front()}};
  }
  make_sequences(config, data);
  return data;
}

}  // namespace mayfly
