#include "core/text/data_report.h"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "core/text/data_rows.h"
#include "core/text/near_duplicates.h"
#include "core/text/row_encoder.h"
#include "core/text/row_grams.h"

namespace mayfly {

namespace {

// In the order in which people should look at them.
enum class Kind { unreadable, untrained, untrained_after_cut, leaked, no_end, repeated, near, cut };

struct KindText {
  bool is_error;
  const char* what;
  const char* hint;
};

KindText text_of(Kind kind) {
  switch (kind) {
    case Kind::unreadable:
      return {true, "rows that cannot become tokens", "the first says why"};
    case Kind::untrained:
      return {true, "rows of which nothing is trained",
              "the chat template does not show the answer: remove them, or set data.train_on: all"};
    case Kind::untrained_after_cut:
      return {true, "rows whose answer is beyond data.cutoff_len, so that nothing is trained",
              "raise data.cutoff_len, or remove them"};
    case Kind::leaked:
      return {false, "rows that are trained on and held out, too",
              "the held-out loss will look better than it is; data.dedup: exact leaves them out"};
    case Kind::no_end:
      return {false, "rows whose last token is trained and is no end of a turn",
              "the model does not learn from them when to stop"};
    case Kind::repeated:
      return {false, "rows that repeat an earlier one", "data.dedup: exact leaves them out"};
    case Kind::near:
      return {false, "rows that say nearly the same as an earlier one",
              "data.dedup: near leaves them out"};
    case Kind::cut:
      return {false, "rows longer than data.cutoff_len",
              "data.truncation says what becomes of them"};
  }
  return {};
}

class Examination {
 public:
  Examination(const DataConfig& config, const TextModel& model, LookForNear near)
      : config_(config),
        model_(model),
        looks_for_near_(near == LookForNear::yes),
        encoder_(model, config) {}

  void add(const FileRow& row, bool is_held_out);
  DataReport finish();

 private:
  void note(Kind kind, const FileRow& row, const std::string& why = {});
  void note_pair(Kind kind, const FileRow& row, std::size_t like);
  void compare(const Example& example, const FileRow& row, bool is_held_out);
  void look_at(const Example& example, const FileRow& row);
  bool is_end(TokenId id) const;

  const DataConfig& config_;
  const TextModel& model_;
  bool looks_for_near_;
  RowEncoder encoder_;
  DataReport report_;
  std::map<Kind, DataFinding> findings_;
  struct Seen {
    FileLocation at;
    bool is_held_out;
  };
  std::vector<Seen> rows_;
  std::map<std::vector<TokenId>, std::size_t> seen_;  // of rows_
  NearDuplicates near_;
};

void Examination::note(Kind kind, const FileRow& row, const std::string& why) {
  DataFinding& finding = findings_[kind];
  if (++finding.rows > 1) return;
  const KindText text = text_of(kind);
  finding.what = text.what;
  finding.hint = why.empty() ? text.hint : why;
  finding.is_error = text.is_error;
  finding.first = {row.file, row.record.line};
}

void Examination::note_pair(Kind kind, const FileRow& row, std::size_t like) {
  note(kind, row);
  DataFinding& finding = findings_[kind];
  if (finding.rows == 1) finding.like = rows_[like].at;
}

void Examination::compare(const Example& example, const FileRow& row, bool is_held_out) {
  const std::size_t number = rows_.size();
  rows_.push_back({{row.file, row.record.line}, is_held_out});
  const auto [found, is_new] = seen_.emplace(example.ids, number);
  if (!is_new) {
    const bool leaked = rows_[found->second].is_held_out != is_held_out;
    return note_pair(leaked ? Kind::leaked : Kind::repeated, row, found->second);
  }
  if (!looks_for_near_) return;
  if (const auto like = near_.add(number, row_grams(row.record))) note_pair(Kind::near, row, *like);
}

bool Examination::is_end(TokenId id) const {
  if (id == model_.eos_id()) return true;
  const auto& ends = encoder_.turn_ends();
  return std::any_of(ends.begin(), ends.end(),
                     [&](const std::string& end) { return model_.tokenizer().id_of(end) == id; });
}

void Examination::look_at(const Example& example, const FileRow& row) {
  const bool is_long = static_cast<std::int64_t>(example.ids.size()) > config_.cutoff_len;
  if (is_long) note(Kind::cut, row);
  if (example.trained_count() == 0) return note(Kind::untrained, row);
  const bool loses_tokens =
      config_.truncation == Truncation::keep_start || config_.truncation == Truncation::keep_end;
  if (is_long && loses_tokens) {
    Example kept = example;
    truncate(kept, config_.cutoff_len, config_.truncation == Truncation::keep_end);
    if (kept.trained_count() == 0) note(Kind::untrained_after_cut, row);
  }
  const auto last = std::find(example.trained.rbegin(), example.trained.rend(), 1);
  const auto at = static_cast<std::size_t>(example.trained.rend() - last) - 1;
  // With train_on: all or completion the last word is the template's, mostly a line feed.
  const bool ends_with_answer =
      config_.train_on == TrainOn::assistant || config_.train_on == TrainOn::last;
  const bool is_answer =
      std::holds_alternative<Conversation>(row.record.content) && ends_with_answer;
  if (is_answer && !is_end(example.ids[at])) note(Kind::no_end, row);
}

void Examination::add(const FileRow& row, bool is_held_out) {
  ++report_.rows;
  report_.held_out += is_held_out;
  const auto example = encoder_.encode(row.record);
  if (!example) return note(Kind::unreadable, row, example.error().message);
  report_.tokens += static_cast<std::int64_t>(example->ids.size());
  report_.tokens_trained += static_cast<std::int64_t>(example->trained_count());
  report_.lengths.push_back(static_cast<std::int64_t>(example->ids.size()));
  look_at(*example, row);
  compare(*example, row, is_held_out);
}

DataReport Examination::finish() {
  std::sort(report_.lengths.begin(), report_.lengths.end());
  for (auto& [kind, finding] : findings_) report_.findings.push_back(std::move(finding));
  return std::move(report_);
}

}  // namespace

std::int64_t DataReport::length_at(double share) const {
  if (lengths.empty()) return 0;
  const auto last = static_cast<double>(lengths.size() - 1);
  return lengths[static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * last + 0.5)];
}

std::int64_t DataReport::rows_beyond(std::int64_t cutoff_len) const {
  return lengths.end() - std::upper_bound(lengths.begin(), lengths.end(), cutoff_len);
}

std::int64_t DataReport::tokens_beyond(std::int64_t cutoff_len) const {
  std::int64_t lost = 0;
  for (auto at = std::upper_bound(lengths.begin(), lengths.end(), cutoff_len); at != lengths.end();
       ++at) {
    lost += *at - cutoff_len;
  }
  return lost;
}

Result<DataReport> examine_data(const DataConfig& config, const TextModel& model,
                                LookForNear near) {
  const auto rows = read_data_rows(config);
  if (!rows) return rows.error();
  Examination examination(config, model, near);
  for (const FileRow& row : rows->validation.rows) examination.add(row, true);
  for (std::size_t i = 0; i < rows->own.rows.size(); ++i) {
    examination.add(rows->own.rows[i], rows->held_out[i]);
  }
  DataReport report = examination.finish();
  report.blank_lines = rows->own.blank_lines + rows->validation.blank_lines;
  return report;
}

}  // namespace mayfly
