#include "core/text/records.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include <simdjson.h>

namespace mayfly {

namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t kLongestLine = 16 << 20;
constexpr std::size_t kBlock = 1 << 20;
constexpr std::size_t kDeepest = 64;
constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
// Keys by which people know a shape of data that is not read yet.
constexpr std::array kOtherShapes = {
    std::pair{std::string_view("conversations"), std::string_view("ShareGPT (\"conversations\")")},
    std::pair{std::string_view("instruction"), std::string_view("Alpaca (\"instruction\")")},
    std::pair{std::string_view("chosen"), std::string_view("preference pairs (\"chosen\")")},
    std::pair{std::string_view("prompt"), std::string_view("prompt and completion (\"prompt\")")},
    std::pair{std::string_view("question"), std::string_view("question and answer (\"question\")")},
    std::pair{std::string_view("input_ids"), std::string_view("token ids (\"input_ids\")")},
    std::pair{std::string_view("text"), std::string_view("plain text (\"text\")")}};

std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 40;
  return "\"" + std::string(text.substr(0, kMost)) + (text.size() > kMost ? "...\"" : "\"");
}

class RecordReader {
 public:
  RecordReader(std::string_view what, std::int64_t limit) : what_(what), limit_(limit) {}

  // One line without its line feed. `ended`: it had one.
  Status read(std::string_view line, bool ended);
  bool full() const {
    return limit_ > 0 && static_cast<std::int64_t>(out_.records.size()) >= limit_;
  }
  Result<Records> finish();

 private:
  Status read_object(const element& root);
  Result<Message> read_message(const element& value, std::size_t index);
  Result<std::string> read_content(const element& message, std::size_t index);
  Status refuse_shape(const object& root);
  Error fault(std::string message, std::string hint = {}) const {
    return Error{ErrorKind::bad_data, std::move(message), std::move(hint), {what_, line_}};
  }

  std::string what_;
  std::int64_t limit_;
  int line_ = 0;
  simdjson::dom::parser parser_;
  Records out_;
};

Status RecordReader::read(std::string_view line, bool ended) {
  ++line_;
  if (line_ == 1 && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
    ++out_.blank_lines;
    return Unit{};
  }
  if (line.size() > kLongestLine) return fault("the line is longer than 16 MB");
  if (parser_.max_depth() != kDeepest &&
      parser_.allocate(std::size_t{1} << 16, kDeepest) != simdjson::SUCCESS) {
    return Error{ErrorKind::out_of_memory, "there is no memory to read " + what_};
  }
  element root;
  const simdjson::error_code error = parser_.parse(line.data(), line.size(), true).get(root);
  if (error == simdjson::UTF8_ERROR) return fault("the line is not UTF-8");
  if (error) {
    const bool cut = !ended;
    return fault(std::string("the line is not valid JSON: ") + simdjson::error_message(error),
                 cut ? "it is the last line and has no line feed: the file may be cut off" : "");
  }
  return read_object(root);
}

Status RecordReader::read_object(const element& root) {
  object fields;
  if (root.get(fields) != simdjson::SUCCESS) {
    return fault("the line is not an object with \"messages\"");
  }
  element messages;
  if (fields.at_key("messages").get(messages) != simdjson::SUCCESS) return refuse_shape(fields);
  simdjson::dom::array array;
  if (messages.get(array) != simdjson::SUCCESS) return fault("\"messages\" is not a list");
  Record record{{}, line_};
  record.messages.reserve(array.size());
  bool answered = false;
  for (const element value : array) {
    auto message = read_message(value, record.messages.size());
    if (!message) return std::move(message.error());
    answered = answered || message->role == "assistant";
    record.messages.push_back(std::move(*message));
  }
  if (!answered) return fault("no message of the assistant: there is nothing to train on");
  out_.records.push_back(std::move(record));
  return Unit{};
}

Result<Message> RecordReader::read_message(const element& value, std::size_t index) {
  const std::string name = "messages[" + std::to_string(index) + "]";
  if (!value.is_object()) return fault(name + " is not an object");
  std::string_view role;
  if (value["role"].get(role) != simdjson::SUCCESS) {
    return fault(name + " has no \"role\"");
  }
  bool known = false;
  for (const std::string_view candidate : kRoles) known = known || candidate == role;
  if (!known) {
    return fault(name + " has the unknown role " + quoted(role),
                 "known are system, developer, user, assistant, tool");
  }
  element ignored;
  if (value["tool_calls"].get(ignored) == simdjson::SUCCESS && !ignored.is_null()) {
    return fault(name + " has \"tool_calls\", which are not supported");
  }
  auto content = read_content(value, index);
  if (!content) return std::move(content.error());
  return Message{std::string(role), std::move(*content)};
}

Result<std::string> RecordReader::read_content(const element& message, std::size_t index) {
  const std::string name = "messages[" + std::to_string(index) + "]";
  element content;
  if (message["content"].get(content) != simdjson::SUCCESS || content.is_null()) {
    return fault(name + " has no \"content\"");
  }
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) return std::string(text);
  simdjson::dom::array parts;
  if (content.get(parts) != simdjson::SUCCESS) {
    return fault(name + ".content is neither a text nor a list of parts");
  }
  std::string joined;
  for (const element part : parts) {
    std::string_view type;
    if (part["type"].get(type) != simdjson::SUCCESS || type != "text" ||
        part["text"].get(text) != simdjson::SUCCESS) {
      return fault(name + ".content has a part that is not {\"type\": \"text\", \"text\": ...}");
    }
    joined += text;
  }
  return joined;
}

Status RecordReader::refuse_shape(const object& root) {
  for (const auto& [key, shape] : kOtherShapes) {
    element value;
    if (root.at_key(key).get(value) == simdjson::SUCCESS) {
      return fault("found " + std::string(shape) + ", which is not supported yet",
                   "each line must be {\"messages\": [{\"role\": ..., \"content\": ...}, ...]}");
    }
  }
  std::string keys;
  for (const auto& [key, value] : root) {
    keys += (keys.empty() ? "" : ", ") + quoted(key);
    if (keys.size() > 120) break;
  }
  return fault("no \"messages\"; found " + (keys.empty() ? "an empty object" : keys),
               "each line must be {\"messages\": [{\"role\": ..., \"content\": ...}, ...]}");
}

Result<Records> RecordReader::finish() {
  if (out_.records.empty()) {
    return Error{ErrorKind::bad_data, "there is no conversation in the file", {}, {what_}};
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
    if (Status done = reader.read(text.substr(at, end - at), feed != std::string_view::npos);
        !done) {
      return std::move(done.error());
    }
    at = std::min(end + 1, text.size());
  }
  return at;
}

}  // namespace

Result<Records> parse_records(std::string_view text, std::string_view what, std::int64_t limit) {
  RecordReader reader(what, limit);
  const auto taken = read_lines(reader, text, true);
  if (!taken) return taken.error();
  return reader.finish();
}

// In blocks, and not mapped: somebody may be writing to the file while it is read.
Result<Records> read_records(const std::filesystem::path& path, std::int64_t limit) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    const bool there = std::filesystem::exists(path, error);
    return Error{there ? ErrorKind::refused : ErrorKind::not_found,
                 there ? "is not a regular file" : "there is no such file",
                 {},
                 {path.string()}};
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{ErrorKind::refused, "cannot be opened", {}, {path.string()}};
  RecordReader reader(path.string(), limit);
  std::string text;  // not yet read as lines
  while (!reader.full()) {
    const std::size_t kept = text.size();
    text.resize(kept + kBlock);
    in.read(text.data() + kept, static_cast<std::streamsize>(kBlock));
    text.resize(kept + static_cast<std::size_t>(in.gcount()));
    if (in.bad()) return Error{ErrorKind::refused, "cannot be read", {}, {path.string()}};
    const bool last = in.gcount() == 0;
    // A line that is too long is given away as it is, to be refused.
    const bool too_long = kept > kLongestLine;
    const auto taken = read_lines(reader, text, last || too_long);
    if (!taken) return taken.error();
    text.erase(0, *taken);
    if (last) break;
  }
  return reader.finish();
}

}  // namespace mayfly
