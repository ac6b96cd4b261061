// Files of training data: one JSON object a line, or one JSON list of objects; either may be
// compressed by gzip or Zstandard (packed_file.h). record_shape.h says which objects.
//
// A byte order mark, CRLF and blank lines are tolerated (and blank lines counted). Everything else
// that is wrong is an error with file and line: text that is not UTF-8, a line cut off in the
// middle or of more than 16 MB, a shape that is not known. Of a list the line is the place in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/record.h"
#include "core/text/record_names.h"

namespace mayfly {

struct Records {
  std::vector<Record> records;
  std::int64_t blank_lines = 0;
};

// The first `limit` records of a file; 0: all. Lines are read in blocks, a list as a whole (at most
// 2 GB). Errors: not_found, refused, bad_data (also for a file without any record).
Result<Records> read_records(const std::filesystem::path& path, const RecordNames& names,
                             std::int64_t limit);

// The same from a text; `what` names it in errors.
Result<Records> parse_records(std::string_view text, std::string_view what,
                              const RecordNames& names, std::int64_t limit);

struct FileRow {
  Record record;
  std::string file;
};

struct FileRows {
  std::vector<FileRow> rows;
  std::int64_t blank_lines = 0;
};

// The first `limit` rows of all files together, in order; 0: all.
Result<FileRows> read_rows(const std::vector<std::string>& files, const RecordNames& names,
                           std::int64_t limit);

}  // namespace mayfly
