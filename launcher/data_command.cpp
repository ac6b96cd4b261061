#include "launcher/data_command.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "core/config/data_files.h"
#include "core/json.h"
#include "core/text/data_report.h"
#include "core/text/data_rows.h"
#include "core/text/dataset.h"
#include "core/text/row_encoder.h"
#include "launcher/figures.h"
#include "launcher/mix_text.h"
#include "launcher/remote_model.h"
#include "launcher/run_command.h"

namespace mayfly {

namespace {

using Json = nlohmann::json;

struct Material {
  RunConfig config;
  TextModel text;
};

Result<Material> material_of(const CommandLine& line, Desk& desk) {
  auto read = read_config(line, false);
  if (const auto* failure = std::get_if<Failure>(&read)) return failure->errors.front();
  RunConfig& config = std::get<RunConfig>(read);
  if (!names_data(config.data)) {
    return Error{ErrorKind::usage, "no data is named", "a run file with -c, or --data FILE"};
  }
  if (config.model.base.empty()) {
    return Error{ErrorKind::usage, "no model is named", "a run file with -c, or --model DIR"};
  }
  const auto remote = look_at_model(config, desk.clock);
  if (!remote) return remote.error();
  const std::filesystem::path folder =
      *remote ? (*remote)->folder : std::filesystem::path(config.model.base);
  auto text = TextModel::load(folder, desk.clock.now());
  if (!text) return std::move(text.error());
  Status chosen = text->choose_template(config.data, desk.clock.now());
  if (!chosen) return std::move(chosen.error());
  return Material{std::move(config), std::move(*text)};
}

// What data.truncation leaves of a row: [first, second).
std::pair<std::size_t, std::size_t> kept(const DataConfig& config, std::size_t size) {
  const auto most = static_cast<std::size_t>(config.cutoff_len);
  if (size <= most) return {0, size};
  if (config.truncation == Truncation::split) return {0, size};
  if (config.truncation == Truncation::keep_start) return {0, most};
  if (config.truncation == Truncation::keep_end) return {size - most, size};
  return {0, 0};
}

// Stretches of the same kind as text: a character may be made of several tokens.
std::string painted(const Tokenizer& tokenizer, const Example& example,
                    std::pair<std::size_t, std::size_t> kept, const Terminal& terminal) {
  std::string text;
  const auto kind_of = [&](std::size_t i) {
    if (i < kept.first || i >= kept.second) return 2;
    return example.trained[i] != 0 ? 1 : 0;
  };
  for (std::size_t begin = 0; begin < example.ids.size();) {
    std::size_t end = begin + 1;
    while (end < example.ids.size() && kind_of(end) == kind_of(begin)) ++end;
    const std::span ids(example.ids.data() + begin, end - begin);
    const std::string part = tokenizer.decode(ids, false);
    switch (kind_of(begin)) {
      case 0:
        text += styled(terminal, Style::dim, part);
        break;
      case 1:
        text += terminal.color ? styled(terminal, Style::green, part) : "[[" + part + "]]";
        break;
      default:
        text += styled(terminal, Style::red, part);
    }
    begin = end;
  }
  return text;
}

Json row_json(const FileRow& row, std::size_t number, const Example& example,
              const std::string& text, std::pair<std::size_t, std::size_t> kept) {
  return {{"row", number},
          {"file", row.file},
          {"line", row.record.line},
          {"ids", example.ids},
          {"mask", example.trained},
          {"text", text},
          {"kept", {kept.first, kept.second}}};
}

Result<ExitCode> preview(const CommandLine& line, const Material& material, const Desk& desk) {
  const DataConfig& config = material.config.data;
  const std::int64_t most = std::max<std::int64_t>(line.data.rows, 0) == 0
                                ? config.sample_size.value_or(0)
                                : line.data.rows;
  DataConfig shown = config;
  shown.val_path.reset();
  shown.sample_size = most > 0 ? std::optional(most) : std::nullopt;
  const auto rows = read_data_rows(shown);
  if (!rows) return rows.error();
  RowEncoder encoder(material.text, config);
  std::size_t number = 0;
  for (const FileRow& row : rows->own.rows) {
    ++number;
    const auto located = [&](Error error) {
      error.at = {row.file, row.record.line};
      return error;
    };
    const auto example = encoder.encode(row.record);
    if (!example) return located(example.error());
    const auto stays = kept(config, example->ids.size());
    if (desk.flags.json) {
      const auto text = encoder.text_of(row.record);
      if (!text) return located(text.error());
      print(row_json(row, number, *example, *text, stays).dump() + "\n");
      continue;
    }
    std::string head = row.file + ":" + std::to_string(row.record.line) + "  " +
                       std::to_string(example->ids.size()) + " tokens, " +
                       std::to_string(example->trained_count()) + " trained";
    if (stays.second - stays.first < example->ids.size()) {
      head += ", " + std::to_string(stays.second - stays.first) + " kept of them";
    }
    print(styled(desk.out, Style::bold, head) + "\n" +
          painted(material.text.tokenizer(), *example, stays, desk.out) + "\n\n");
  }
  if (!desk.flags.json) {
    print(desk.out.color ? "green is trained, red is cut off\n" : "[[...]] is trained\n");
  }
  return ExitCode::ok;
}

// What would be taken of each source of data.mix; none without it.
Result<std::vector<SourceCounts>> mix_of(const Material& material) {
  if (material.config.data.mix.empty()) return std::vector<SourceCounts>{};
  auto data = load_dataset(material.config.data, material.text, {});
  if (!data) return std::move(data.error());
  return std::move(data->sources);
}

Json place_json(const FileLocation& place) {
  return {{"file", place.file}, {"line", place.line}};
}

std::string place_text(const FileLocation& place) {
  return place.file + ":" + std::to_string(place.line);
}

Result<ExitCode> check(const Material& material, const Desk& desk) {
  const auto report = examine_data(material.config.data, material.text, LookForNear::yes);
  if (!report) return report.error();
  Json findings = Json::array();
  bool good = true;
  for (const DataFinding& finding : report->findings) {
    good = good && !finding.is_error;
    findings.push_back({{"what", finding.what},
                        {"error", finding.is_error},
                        {"rows", finding.rows},
                        {"first", place_json(finding.first)},
                        {"hint", finding.hint}});
    if (finding.like) findings.back()["like"] = place_json(*finding.like);
    if (desk.flags.json) continue;
    print(styled(desk.out, finding.is_error ? Style::red : Style::yellow,
                 finding.is_error ? "error    " : "warning  ") +
          std::to_string(finding.rows) + " " + finding.what + "; the first: " +
          place_text(finding.first) + (finding.like ? " as " + place_text(*finding.like) : "") +
          "\n         hint: " + finding.hint + "\n");
  }
  // With an error in a row there is no mix, and the rows say more.
  Result<std::vector<SourceCounts>> mix = std::vector<SourceCounts>{};
  if (good) mix = mix_of(material);
  if (!mix) return mix.error();
  if (desk.flags.json) {
    print(json_line({{"ok", good},
                     {"rows", report->rows},
                     {"findings", findings},
                     {"mix", mix_json(*mix)}}) +
          "\n");
  } else {
    for (const std::string& source : mix_lines(*mix)) print("mix      " + source + "\n");
    print(std::to_string(report->rows) + " rows, " + std::to_string(report->held_out) +
          " of them held out: " +
          (report->findings.empty() ? "nothing found"
           : good                   ? "nothing that keeps them from being trained"
                                    : "not fit to be trained on as they are") +
          "\n");
  }
  return good ? ExitCode::ok : ExitCode::bad_data;
}

std::string histogram(const DataReport& report, const Terminal& terminal) {
  constexpr int kBars = 40;
  std::vector<std::pair<std::int64_t, std::int64_t>> bins;  // up to this length, rows
  for (std::int64_t up_to = 32; report.rows_beyond(up_to / 2) > 0 || bins.empty(); up_to *= 2) {
    bins.emplace_back(up_to,
                      report.rows_beyond(bins.empty() ? 0 : up_to / 2) - report.rows_beyond(up_to));
  }
  std::int64_t most = 1;
  for (const auto& [up_to, rows] : bins) most = std::max(most, rows);
  std::vector<std::vector<std::string>> table;
  for (const auto& [up_to, rows] : bins) {
    const auto bars = static_cast<std::size_t>(rows * kBars / most);
    table.push_back(
        {"<= " + std::to_string(up_to), std::to_string(rows),
         styled(terminal, Style::blue, std::string(std::max<std::size_t>(bars, rows > 0), '#'))});
  }
  return aligned_table(table, {Align::right, Align::right});
}

Result<ExitCode> stats(const Material& material, const Desk& desk) {
  const auto report = examine_data(material.config.data, material.text, LookForNear::no);
  if (!report) return report.error();
  const auto mix = mix_of(material);
  if (!mix) return mix.error();
  constexpr std::array kCutoffs = {256, 512, 1024, 2048, 4096, 8192};
  const auto share = [](std::int64_t part, std::int64_t of) {
    return of == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(of);
  };
  Json lengths = {{"shortest", report->length_at(0)},
                  {"median", report->length_at(0.5)},
                  {"p90", report->length_at(0.9)},
                  {"p99", report->length_at(0.99)},
                  {"longest", report->length_at(1)}};
  Json cuts = Json::array();
  std::vector<std::vector<std::string>> table = {{"data.cutoff_len", "rows cut", "tokens lost"}};
  for (const std::int64_t cutoff : kCutoffs) {
    const double rows = share(report->rows_beyond(cutoff), report->rows);
    const double tokens = share(report->tokens_beyond(cutoff), report->tokens);
    cuts.push_back({{"cutoff_len", cutoff}, {"rows_cut", rows}, {"tokens_lost", tokens}});
    table.push_back(
        {std::to_string(cutoff), number("%.1f %%", 100 * rows), number("%.1f %%", 100 * tokens)});
  }
  if (desk.flags.json) {
    print(json_line({{"rows", report->rows},
                     {"held_out", report->held_out},
                     {"blank_lines", report->blank_lines},
                     {"tokens", report->tokens},
                     {"tokens_trained_on", report->tokens_trained},
                     {"lengths", lengths},
                     {"cutoffs", cuts},
                     {"mix", mix_json(*mix)}}) +
          "\n");
    return ExitCode::ok;
  }
  std::string sources;
  for (const std::string& source : mix_lines(*mix)) sources += "mix: " + source + "\n";
  print(std::to_string(report->rows) + " rows, " + std::to_string(report->held_out) +
        " of them held out; " + std::to_string(report->tokens) + " tokens, " +
        number("%.0f %%", 100 * share(report->tokens_trained, report->tokens)) +
        " of them trained on\n" + sources + "\ntokens in a row: median " +
        std::to_string(report->length_at(0.5)) + ", 90 % within " +
        std::to_string(report->length_at(0.9)) + ", 99 % within " +
        std::to_string(report->length_at(0.99)) + ", longest " +
        std::to_string(report->length_at(1)) + "\n" + histogram(*report, desk.out) + "\n" +
        aligned_table(table, {Align::right, Align::right, Align::right}));
  return ExitCode::ok;
}

}  // namespace

Result<ExitCode> data_command(const CommandLine& line, Desk& desk) {
  const std::string what = line.words.empty() ? "" : line.words.front();
  if ((what != "preview" && what != "check" && what != "stats") || line.words.size() > 1) {
    return Error{ErrorKind::usage,
                 what.empty() ? "data needs to know what to do"
                              : "data does not know \"" + line.words.back() + "\"",
                 "one of preview, check, stats; files are named by -c or --data"};
  }
  const auto material = material_of(line, desk);
  if (!material) return material.error();
  if (what == "preview") return preview(line, *material, desk);
  return what == "check" ? check(*material, desk) : stats(*material, desk);
}

}  // namespace mayfly
