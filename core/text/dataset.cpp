#include "core/text/dataset.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "core/atomic_file.h"
#include "core/config/data_files.h"
#include "core/text/data_rows.h"
#include "core/text/mix.h"

namespace mayfly {

namespace {

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

// Of rows that gave examples; those that are left out are in neither part.
void keep_row(const FileRow& row, bool is_used, std::vector<std::string>& rows) {
  if (is_used && !row.record.json.empty()) rows.push_back(row.record.json);
}

Status add_held_out_row(const FileRow& row, RowEncoding& encoding, Dataset& data) {
  const std::size_t before = data.validation.size();
  Status added = encoding.add(row, data.validation, data.validation_counts);
  if (added) keep_row(row, data.validation.size() > before, data.validation_rows);
  return added;
}

// What is held out comes first, so that a row that repeats it is not trained on.
Status add_held_out(const DataRows& rows, RowEncoding& encoding, Dataset& data) {
  for (std::size_t i = 0; i < rows.own.rows.size(); ++i) {
    if (!rows.held_out[i]) continue;
    if (Status added = add_held_out_row(rows.own.rows[i], encoding, data); !added) return added;
  }
  for (const FileRow& row : rows.validation.rows) {
    if (Status added = add_held_out_row(row, encoding, data); !added) return added;
  }
  return Unit{};
}

Status add_files(const DataConfig& config, const DataRows& rows, RowEncoding& encoding,
                 Dataset& data) {
  const std::int64_t most =
      config.max_train_samples.value_or(rows_meant_by_name(config.path).value_or(INT64_MAX));
  std::int64_t used = 0;
  for (std::size_t i = 0; i < rows.own.rows.size() && used < most; ++i) {
    if (rows.held_out[i]) continue;
    const std::size_t before = data.train.size();
    Status added = encoding.add(rows.own.rows[i], data.train, data.train_counts);
    if (!added) return added;
    used += data.train.size() > before ? 1 : 0;
    keep_row(rows.own.rows[i], data.train.size() > before, data.train_rows);
  }
  return Unit{};
}

// A row of a mix, not yet taken or left: its examples are [begin, end) of its source's.
struct MixRow {
  std::size_t number;  // of all rows
  std::size_t begin;
  std::size_t end;
  DataCounts counts;
};

// The rows that one source can give.
struct MixPart {
  std::vector<Example> examples;
  std::vector<MixRow> rows;
};

Result<MixPart> encode_part(const DataRows& rows, const RowSource& source, RowEncoding& encoding,
                            DataCounts& left_out) {
  MixPart part;
  for (std::size_t i = source.begin; i < source.end; ++i) {
    if (rows.held_out[i]) continue;
    MixRow row{.number = i, .begin = part.examples.size(), .end = 0, .counts = {}};
    if (Status added = encoding.add(rows.own.rows[i], part.examples, row.counts); !added) {
      return added.error();
    }
    row.end = part.examples.size();
    if (row.end > row.begin) {
      part.rows.push_back(row);
    } else {
      add_counts(left_out, row.counts);
    }
  }
  if (!part.rows.empty()) return part;
  return Error{ErrorKind::bad_data,
               "no row of " + source.name + " is left to train on, and it is part of data.mix",
               "leave it out of the mix, or look at it with `launch data check`",
               {rows.own.rows[source.begin].file}};
}

// How many rows are taken of each source.
Result<std::vector<std::int64_t>> shares_of(const DataConfig& config, const DataRows& rows,
                                            std::span<const std::int64_t> available) {
  std::vector<std::int64_t> weights;
  for (const RowSource& source : rows.sources) weights.push_back(source.weight);
  const std::int64_t total = mix_total(config.mix_strategy, weights, available,
                                       config.max_train_samples.value_or(INT64_MAX));
  if (total >= 0) return mix_counts(weights, total);
  return Error{ErrorKind::bad_data,
               "data.mix_strategy all_exhausted would repeat the rows of a source more than " +
                   std::to_string(kMostRepeats) + " times",
               "give the larger sources more weight, or take first_exhausted"};
}

void note_source(const RowSource& source, SourceCounts counts, Dataset& data) {
  if (counts.rows == 0) {
    data.warnings.push_back("no row of " + source.name + " is trained on: its share is " +
                            "less than one row of the mix");
  }
  data.sources.push_back(std::move(counts));
}

// Everything is encoded before any row is taken: only then is known what each source can give.
Status add_mix(const DataConfig& config, const DataRows& rows, RowEncoding& encoding,
               Dataset& data) {
  std::vector<MixPart> parts;
  std::vector<std::int64_t> available;
  for (const RowSource& source : rows.sources) {
    auto part = encode_part(rows, source, encoding, data.train_counts);
    if (!part) return std::move(part.error());
    available.push_back(static_cast<std::int64_t>(part->rows.size()));
    parts.push_back(std::move(*part));
  }
  const auto counts = shares_of(config, rows, available);
  if (!counts) return counts.error();
  std::vector<DataCounts> taken(parts.size());
  for (const auto& [source, number] :
       mix_rows(available, *counts, static_cast<std::uint64_t>(config.seed))) {
    const MixPart& part = parts[source];
    const MixRow& row = part.rows[number];
    add_counts(taken[source], row.counts);
    for (std::size_t i = row.begin; i < row.end; ++i) data.train.push_back(part.examples[i]);
    keep_row(rows.own.rows[row.number], true, data.train_rows);
  }
  double weights = 0;
  for (const RowSource& source : rows.sources) weights += static_cast<double>(source.weight);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    add_counts(data.train_counts, taken[i]);
    note_source(rows.sources[i],
                {.name = rows.sources[i].name,
                 .share = static_cast<double>(rows.sources[i].weight) / weights,
                 .available = available[i],
                 .rows = (*counts)[i],
                 .tokens = taken[i].tokens,
                 .tokens_trained_on = taken[i].tokens_trained_on},
                data);
  }
  return Unit{};
}

}  // namespace

Result<Dataset> load_dataset(const DataConfig& config, const TextModel& model,
                             const DataProgress& progress) {
  if (!names_data(config)) {
    return Error{ErrorKind::invalid_config, "data.path is not set",
                 "name a JSONL file: --data FILE"};
  }
  const auto rows = read_data_rows(config);
  if (!rows) return rows.error();
  Dataset data;
  data.train_counts.blank_lines = rows->own.blank_lines;
  data.validation_counts.blank_lines = rows->validation.blank_lines;
  RowEncoding encoding(
      config, model, progress,
      static_cast<std::int64_t>(rows->own.rows.size() + rows->validation.rows.size()));
  if (Status added = add_held_out(*rows, encoding, data); !added) return added.error();
  const Status added = config.mix.empty() ? add_files(config, *rows, encoding, data)
                                          : add_mix(config, *rows, encoding, data);
  if (!added) return added.error();
  for (std::string& warning : encoding.warnings()) data.warnings.push_back(std::move(warning));
  if (data.train.empty()) {
    return Error{
        ErrorKind::bad_data, "no row is left to train on", {}, {rows->own.rows.front().file}};
  }
  make_sequences(config, data);
  return data;
}

Status write_splits(const Dataset& data, const std::filesystem::path& folder) {
  if (Status made = make_folders(folder); !made) return made;
  const auto write = [&](const char* name, const std::vector<std::string>& rows) {
    std::vector<std::string_view> pieces;
    for (const std::string& row : rows) {
      pieces.push_back(row);
      pieces.emplace_back("\n");
    }
    return write_file(folder / name, pieces);
  };
  Status written = write("train.jsonl", data.train_rows);
  if (!written || data.validation_rows.empty()) return written;
  return write("validation.jsonl", data.validation_rows);
}

}  // namespace mayfly
