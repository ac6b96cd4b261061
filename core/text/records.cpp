#include "core/text/records.h"

#include <algorithm>
#include <utility>

#include <simdjson.h>

#include "core/text/packed_file.h"
#include "core/text/record_shape.h"

namespace mayfly {

namespace {

constexpr std::size_t kLongestLine = 16 << 20;
constexpr std::size_t kBlock = 1 << 20;
constexpr std::size_t kLongestList = std::size_t{2} << 30;
constexpr std::size_t kDeepest = 64;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// The first character that says something; 0 when there is none in `text`.
char first_character(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t at = text.find_first_not_of(" \t\r\n");
  return at == std::string_view::npos ? '\0' : text[at];
}

class RecordReader {
 public:
  RecordReader(std::string_view what, const RecordNames& names, std::int64_t limit)
      : what_(what), names_(names), limit_(limit) {}

  // One line without its line feed. `ended`: it had one.
  Status read_line(std::string_view line, bool ended);
  Status read_list(std::string_view text);
  bool full() const {
    return limit_ > 0 && static_cast<std::int64_t>(out_.records.size()) >= limit_;
  }
  Result<Records> finish();

 private:
  Result<simdjson::dom::element> parse(std::string_view text, const char* what_it_is);
  // `json`: the row as it was written.
  Status add(const simdjson::dom::element& row, std::string_view json);
  Error fault(std::string message, std::string hint = {}) const {
    return Error{ErrorKind::bad_data, std::move(message), std::move(hint), {what_, line_}};
  }

  std::string what_;
  const RecordNames& names_;
  std::int64_t limit_;
  int line_ = 0;
  simdjson::dom::parser parser_;
  Records out_;
};

Result<simdjson::dom::element> RecordReader::parse(std::string_view text, const char* what_it_is) {
  if (parser_.max_depth() != kDeepest &&
      parser_.allocate(std::size_t{1} << 16, kDeepest) != simdjson::SUCCESS) {
    return Error{ErrorKind::out_of_memory, "there is no memory to read " + what_};
  }
  simdjson::dom::element root;
  const simdjson::error_code error = parser_.parse(text.data(), text.size(), true).get(root);
  if (!error) return root;
  if (error == simdjson::UTF8_ERROR) return fault(std::string(what_it_is) + " is not UTF-8");
  return fault(std::string(what_it_is) + " is not valid JSON: " + simdjson::error_message(error));
}

Status RecordReader::read_line(std::string_view line, bool ended) {
  ++line_;
  if (line_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
    ++out_.blank_lines;
    return Unit{};
  }
  if (line.size() > kLongestLine) return fault("the line is longer than 16 MB");
  auto row = parse(line, "the line");
  if (row) return add(*row, line.substr(0, line.find_last_not_of(" \t\r") + 1));
  if (!ended && row.error().kind == ErrorKind::bad_data) {
    row.error().hint = "it is the last line and has no line feed: the file may be cut off";
  }
  return std::move(row.error());
}

Status RecordReader::read_list(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const auto root = parse(text, "the file, a list,");
  if (!root) return root.error();
  simdjson::dom::array rows;
  if (root->get(rows) != simdjson::SUCCESS) return fault("the file is not a list");
  for (const simdjson::dom::element row : rows) {
    if (full()) break;
    ++line_;
    const std::string json = names_.keep_json ? simdjson::minify(row) : std::string();
    if (Status added = add(row, json); !added) return added;
  }
  return Unit{};
}

Status RecordReader::add(const simdjson::dom::element& row, std::string_view json) {
  auto record = read_shape(row, names_);
  if (!record) {
    record.error().at = {what_, line_};
    return std::move(record.error());
  }
  record->line = line_;
  if (names_.keep_json) record->json = json;
  out_.records.push_back(std::move(*record));
  return Unit{};
}

Result<Records> RecordReader::finish() {
  if (out_.records.empty()) {
    return Error{ErrorKind::bad_data, "there is no row in the file", {}, {what_}};
  }
  return std::move(out_);
}

// Gives the lines of `text` to the reader and says how many bytes that were; of a last line without
// a line feed only when `last`.
Result<std::size_t> read_lines(RecordReader& reader, std::string_view text, bool last) {
  std::size_t at = 0;
  while (at < text.size() && !reader.full()) {
    const std::size_t feed = text.find('\n', at);
    if (feed == std::string_view::npos && !last) break;
    const std::size_t end = std::min(feed, text.size());
    if (Status done = reader.read_line(text.substr(at, end - at), feed != std::string_view::npos);
        !done) {
      return std::move(done.error());
    }
    at = std::min(end + 1, text.size());
  }
  return at;
}

Status read_rest_as_list(PackedFile& in, std::string text, const std::string& what,
                         RecordReader& reader) {
  while (true) {
    if (text.size() > kLongestList) {
      return Error{
          ErrorKind::bad_data, "is a list of more than 2 GB", "write one object a line", {what}};
    }
    const auto more = in.append_to(text, kBlock);
    if (!more) return more.error();
    if (!*more) return reader.read_list(text);
  }
}

}  // namespace

Result<Records> parse_records(std::string_view text, std::string_view what,
                              const RecordNames& names, std::int64_t limit) {
  RecordReader reader(what, names, limit);
  if (first_character(text) == '[') {
    if (const Status read = reader.read_list(text); !read) return read.error();
  } else if (const auto taken = read_lines(reader, text, true); !taken) {
    return taken.error();
  }
  return reader.finish();
}

// In blocks, and not mapped: somebody may be writing to the file while it is read.
Result<Records> read_records(const std::filesystem::path& path, const RecordNames& names,
                             std::int64_t limit) {
  auto in = PackedFile::open(path);
  if (!in) return std::move(in.error());
  RecordReader reader(path.string(), names, limit);
  std::string text;  // not yet read as lines
  bool at_the_start = true;
  while (!reader.full()) {
    const std::size_t kept = text.size();
    const auto more = in->append_to(text, kBlock);
    if (!more) return more.error();
    if (at_the_start && first_character(text) == '[') {
      const Status read = read_rest_as_list(*in, std::move(text), path.string(), reader);
      if (!read) return read.error();
      break;
    }
    at_the_start = false;
    // A line that is too long is given away as it is, to be refused.
    const bool too_long = kept > kLongestLine;
    const auto taken = read_lines(reader, text, !*more || too_long);
    if (!taken) return taken.error();
    text.erase(0, *taken);
    if (!*more) break;
  }
  return reader.finish();
}

Result<FileRows> read_rows(const std::vector<std::string>& files, const RecordNames& names,
                           std::int64_t limit) {
  FileRows all;
  for (const std::string& file : files) {
    const auto have = static_cast<std::int64_t>(all.rows.size());
    if (limit > 0 && have >= limit) break;
    auto read = read_records(file, names, limit > 0 ? limit - have : 0);
    if (!read) return std::move(read.error());
    for (Record& record : read->records) all.rows.push_back({std::move(record), file});
    all.blank_lines += read->blank_lines;
  }
  return all;
}

}  // namespace mayfly
