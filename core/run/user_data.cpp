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

Result<std::string> program_lines(const std::vector<PlannedProgram>& programs) {
  std::string lines;
  for (const PlannedProgram& program : programs) {
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

namespace {

// An entry of write_files; the text is base64.
std::string file_entry(std::string_view path, std::string_view mode, std::string_view encoding,
                       const std::string& text) {
  return "  - path: " + std::string(path) + "\n    permissions: '" + std::string(mode) +
         "'\n    encoding: " + std::string(encoding) + "\n    content: " + text + "\n";
}

// The line of the mark becomes `lines`, which may be none.
void replace_mark_line(std::string& text, std::string_view word, const std::string& lines) {
  const std::string mark = "@{" + std::string(word) + "}\n";
  const auto at = text.find(mark);
  assert(at != std::string::npos);
  text.replace(at, mark.size(), lines);
}

std::string cloud_config(const BootTimes& times, const std::string& programs,
                         const std::string& files, const std::string& keys) {
  std::string text = without_comments(kUserDataTemplate);
  replace_line(text, "bootstrap.sh", kBootstrapScript);
  replace_line(text, "fuse.sh", kFuseScript);
  replace_word(text, "times", shell_times(times));
  replace_word(text, "programs_base64", base64_encode(programs));
  replace_mark_line(text, "files", files);
  replace_mark_line(text, "keys", keys);
  return text;
}

Result<std::string> checked_size(std::string text) {
  if (text.size() <= kUserDataMaxBytes) return text;
  return Error{ErrorKind::refused,
               "the start-up file is " + std::to_string(text.size()) + " bytes; providers take " +
                   std::to_string(kUserDataMaxBytes),
               "shorten the run's configuration: long lists of data files or variables"};
}

// cloud-init's own way of giving a machine its host key (cc_ssh); all others of its keys go.
std::string key_entries(const CloudBoot& boot) {
  if (boot.host_key.empty()) return "";
  return "ssh_keys:\n  ed25519_private: |\n" + indented(boot.host_key, 4) +
         "  ed25519_public: " + boot.host_public_key + "\n";
}

}  // namespace

Result<std::string> render_user_data(const RunPlan& plan, const BootTimes& times) {
  const Result<std::string> programs = program_lines(plan.programs);
  if (!programs) return programs.error();
  const std::string packed = base64_encode(gzip_compress(json_line(plan_to_json(plan))));
  return checked_size(cloud_config(
      times, *programs, file_entry("/opt/mayfly/plan.json", "0600", "gz+b64", packed), ""));
}

Result<std::string> render_cloud_user_data(const CloudBoot& boot, UserDataForm form) {
  const Result<std::string> programs = program_lines(boot.programs);
  if (!programs) return programs.error();
  if (boot.host_public_key.find_first_of("\r\n") != std::string::npos) {
    return Error{ErrorKind::invalid_config, "the host key has a line break in it"};
  }
  if (form == UserDataForm::cloud_config) {
    const std::string script = base64_encode(without_comments(kReceiveScript));
    return checked_size(cloud_config(boot.times, *programs,
                                     file_entry("/opt/mayfly/receive.sh", "0755", "b64", script),
                                     key_entries(boot)));
  }
  std::string text = without_comments(kScriptTemplate);
  replace_line(text, "bootstrap.sh", kBootstrapScript);
  replace_line(text, "fuse.sh", kFuseScript);
  replace_line(text, "receive.sh", kReceiveScript);
  replace_word(text, "times", shell_times(boot.times));
  replace_word(text, "programs_base64", base64_encode(*programs));
  for (int i = 0; i < 2; ++i) replace_word(text, "host_key_base64", base64_encode(boot.host_key));
  return checked_size(std::move(text));
}

}  // namespace mayfly
