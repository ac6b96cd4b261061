#include "core/text/row_encoding.h"

#include <algorithm>

#include "core/text/row_grams.h"

namespace mayfly {

namespace {

constexpr std::int64_t kRowsBetweenProgress = 256;

void tally(const Example& example, DataCounts& counts) {
  const auto size = static_cast<std::int64_t>(example.ids.size());
  ++counts.examples;
  counts.tokens += size;
  counts.tokens_trained_on += static_cast<std::int64_t>(example.trained_count());
  counts.longest = std::max(counts.longest, size);
}

}  // namespace

void add_counts(DataCounts& to, const DataCounts& more) {
  to.examples += more.examples;
  to.tokens += more.tokens;
  to.tokens_trained_on += more.tokens_trained_on;
  to.longest = std::max(to.longest, more.longest);
  to.truncated += more.truncated;
  to.split += more.split;
  to.too_long += more.too_long;
  to.duplicates += more.duplicates;
  to.tokens_cut += more.tokens_cut;
  to.dropped += more.dropped;
  to.blank_lines += more.blank_lines;
}

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

bool RowEncoding::is_repeated(const FileRow& row, const Example& example) {
  if (config_.dedup == Dedup::off) return false;
  if (!seen_.emplace(example.ids, example.trained).second) return true;
  return config_.dedup == Dedup::near && near_.add(0, row_grams(row.record)).has_value();
}

Status RowEncoding::add(const FileRow& row, std::vector<Example>& examples, DataCounts& counts) {
  auto example = encoder_.encode(row.record);
  if (!example) {
    example.error().at = {row.file, row.record.line};
    return std::move(example.error());
  }
  if (++done_ % kRowsBetweenProgress == 0 && progress_) progress_(done_, of_);
  if (is_repeated(row, *example)) {
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

}  // namespace mayfly
