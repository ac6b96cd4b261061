#include "core/run/user_data.h"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "cloud_init.h"
#include "core/base64.h"
#include "core/gzip.h"
#include "core/json.h"

namespace mayfly {

namespace {

std::string indented(std::string_view text, std::size_t columns) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    out += std::string(line.empty() ? 0 : columns, ' ') + std::string(line) + '\n';
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return out;
}

void replace_word(std::string& text, std::string_view word, const std::string& value) {
  const std::string mark = "@{" + std::string(word) + "}";
  const auto at = text.find(mark);
  assert(at != std::string::npos);
  text.replace(at, mark.size(), value);
}

// Replaces the line that holds the mark by the file's lines, indented as the mark is.
void replace_line(std::string& text, std::string_view file, std::string_view content) {
  const std::string mark = "@{file:" + std::string(file) + "}\n";
  const auto at = text.find(mark);
  assert(at != std::string::npos);
  const auto line = text.rfind('\n', at) + 1;
  text.replace(line, at + mark.size() - line, indented(without_comments(content), at - line));
}

Result<std::string> program_lines(const RunPlan& plan) {
  std::string lines;
  for (const PlannedProgram& program : plan.programs) {
    const std::string line = program.name + " " + program.sha256 + " " + program.url;
    if (line.find_first_of("\r\n") != std::string::npos) {
      return Error{ErrorKind::invalid_config,
                   "the address of the program " + program.name + " has a line break in it"};
    }
    lines += line + "\n";
  }
  return lines;
}

// Lines that sh reads as assignments, of numbers alone.
std::string shell_times(const BootTimes& times) {
  const std::pair<const char*, std::chrono::seconds> rows[] = {
      {"FUSE", times.fuse},     {"BEHIND", times.behind}, {"START", times.start},
      {"TICK", times.tick},     {"AGAIN", times.again},   {"LOOK", times.look},
      {"SILENT", times.silent}, {"LATE", times.late},     {"RESCUE", times.rescue},
      {"NOTIFY", times.notify}};
  std::string text;
  for (const auto& [name, value] : rows) {
    text += std::string(text.empty() ? "" : " ") + name + "=" + std::to_string(value.count());
  }
  return text;
}

}  // namespace

// The first line is not a comment, though it looks it.
std::string without_comments(std::string_view text) {
  std::string kept;
  for (bool first = true; !text.empty(); first = false) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const auto word = line.find_first_not_of(' ');
    if (first || (word != std::string_view::npos && line[word] != '#')) {
      kept += line;
      kept += '\n';
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return kept;
}

Result<std::string> render_user_data(const RunPlan& plan, const BootTimes& times) {
  const Result<std::string> programs = program_lines(plan);
  if (!programs) return programs.error();
  std::string text = without_comments(kUserDataTemplate);
  replace_line(text, "bootstrap.sh", kBootstrapScript);
  replace_line(text, "fuse.sh", kFuseScript);
  replace_word(text, "times", shell_times(times));
  replace_word(text, "programs_base64", base64_encode(*programs));
  replace_word(text, "plan_gzip_base64",
               base64_encode(gzip_compress(json_line(plan_to_json(plan)))));
  if (text.size() > kUserDataMaxBytes) {
    return Error{ErrorKind::refused,
                 "the start-up file is " + std::to_string(text.size()) + " bytes; providers take " +
                     std::to_string(kUserDataMaxBytes),
                 "shorten the run's configuration: long lists of data files or variables"};
  }
  return text;
}

}  // namespace mayfly
