// Training data as people keep it: one JSON object a line, {"messages": [{"role": ..., "content":
// ...}, ...]}.
//
// A byte order mark, CRLF and blank lines are tolerated (and blank lines counted). `content` is a
// text or a list of {"type": "text", "text": ...} parts, which are joined. Everything else is an
// error with file and line: other shapes by the name of what was found, text that is not UTF-8, a
// line cut off in the middle or of more than 16 MB, unknown roles, no turn of the assistant.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/message.h"

namespace mayfly {

struct Record {
  std::vector<Message> messages;  // at least one is the assistant's
  int line = 0;                   // from 1
};

struct Records {
  std::vector<Record> records;
  std::int64_t blank_lines = 0;
};

// The first `limit` records of a file; 0: all. Errors: not_found, refused, bad_data (also for a
// file without any record).
Result<Records> read_records(const std::filesystem::path& path, std::int64_t limit);

// The same from a text; `what` names it in errors.
Result<Records> parse_records(std::string_view text, std::string_view what, std::int64_t limit);

}  // namespace mayfly
