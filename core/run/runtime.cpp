#include "core/run/runtime.h"

#include <algorithm>
#include <cassert>
#include <sstream>

#include "runtime_list.h"

namespace mayfly {

namespace {

struct RuntimeRow {
  std::string kind;
  std::string where;
  std::string name;
  std::string version;  // of a wheel
  std::string sha256;
  std::int64_t bytes = -1;
  std::string url;
};

Result<RuntimeRow> parse_runtime_row(const std::string& line) {
  std::istringstream words(line);
  RuntimeRow row;
  words >> row.kind >> row.where >> row.name;
  const bool wheel = row.kind == "wheel";
  if (wheel) words >> row.version >> row.sha256;
  words >> row.bytes;
  if (wheel) words >> row.url;
  std::string more;
  const bool known = (wheel || row.kind == "file") && (row.where == "any" || row.where == "gpu");
  if (!known || !words || words >> more || row.bytes < 0) {
    return Error{ErrorKind::corrupt, "not a row of the list of libraries: " + line};
  }
  return row;
}

}  // namespace

Result<std::vector<PlannedWheel>> parse_runtime(std::string_view text, bool with_gpu) {
  std::vector<PlannedWheel> wheels;
  std::istringstream lines{std::string(text)};
  bool skipped = true;  // the wheel that the files are of
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const Result<RuntimeRow> row = parse_runtime_row(line);
    if (!row) return row.error();
    const bool wanted = with_gpu || row->where == "any";
    if (row->kind == "wheel") {
      skipped = !wanted;
      if (wanted) {
        wheels.push_back({row->name + " " + row->version, row->url, row->sha256, row->bytes, {}});
      }
    } else if (wanted && !skipped) {
      wheels.back().files.push_back({row->name, row->bytes});
    } else if (wanted) {
      return Error{ErrorKind::corrupt, "a file of no wheel: " + line};
    }
  }
  return wheels;
}

std::vector<PlannedWheel> pinned_runtime(bool with_gpu) {
  Result<std::vector<PlannedWheel>> wheels = parse_runtime(kRuntimeList, with_gpu);
  assert(wheels);  // RuntimeTest reads the same text
  return *std::move(wheels);
}

std::int64_t download_bytes(const std::vector<PlannedWheel>& wheels) {
  std::int64_t bytes = 0;
  for (const PlannedWheel& wheel : wheels) bytes += wheel.bytes;
  return bytes;
}

std::int64_t unpacked_bytes(const std::vector<PlannedWheel>& wheels) {
  std::int64_t bytes = 0;
  for (const PlannedWheel& wheel : wheels) {
    for (const PlannedFile& file : wheel.files) bytes += file.bytes;
  }
  return bytes;
}

std::int64_t disk_bytes(const std::vector<PlannedWheel>& wheels) {
  std::int64_t largest = 0;
  for (const PlannedWheel& wheel : wheels) largest = std::max(largest, wheel.bytes);
  return unpacked_bytes(wheels) + largest;
}

bool leads_below(std::string_view name) {
  if (name.empty() || name.find('\\') != name.npos || name.find('\0') != name.npos) return false;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace mayfly
