// Hygiene as a test: what reviewers would otherwise have to look for in every change. Each rule
// names the file and the line that breaks it, and what to do instead.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/exit_code.h"

namespace mayfly {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

struct Source {
  std::string path;  // from the root of the tree, with forward slashes
  std::string text;
  std::vector<std::string> lines;
};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return text.starts_with(prefix); });
}

// Every file of the tree that a person wrote, without what building leaves there.
const std::vector<Source>& tree() {
  static const std::vector<Source> files = [] {
    const std::set<std::string> made = {"build", "bin", "dist", "outputs", "logs", "__pycache__"};
    const fs::path root = MAYFLY_SOURCE_DIR;
    std::vector<Source> found;
    for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
         ++it) {
      const std::string name = it->path().filename().string();
      const bool at_top = it.depth() == 0;
      if (name == ".git" || (at_top && made.contains(name)) || name == "__pycache__") {
        it.disable_recursion_pending();
        continue;
      }
      if (!it->is_regular_file()) continue;
      std::string text = read(it->path());
      std::vector<std::string> lines = split_lines(text);
      found.push_back({fs::relative(it->path(), root).generic_string(), text, std::move(lines)});
    }
    std::sort(found.begin(), found.end(),
              [](const Source& a, const Source& b) { return a.path < b.path; });
    return found;
  }();
  return files;
}

bool is_code(const Source& file) {
  static const std::set<std::string> endings = {".cpp", ".h", ".cu", ".cuh"};
  return endings.contains(fs::path(file.path).extension().string());
}

bool is_program_code(const Source& file) {
  return is_code(file) && starts_with_any(file.path, {"core/", "launcher/", "agent/", "localhub/",
                                                      "trainer/", "cuda/"});
}

// Data is taken as it is, whatever it contains.
bool is_data(const Source& file) {
  static const std::set<std::string> endings = {".jsonl", ".safetensors", ".bin", ".gz", ".png"};
  return endings.contains(fs::path(file.path).extension().string()) ||
         file.path.starts_with("tests/data/");
}

std::string at(const Source& file, std::size_t line) {
  return file.path + ":" + std::to_string(line + 1) + ": ";
}

// The lines of `file` that match, as "path:line: <line>".
std::vector<std::string> matches(const Source& file, const std::regex& pattern) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    if (std::regex_search(file.lines[i], pattern)) found.push_back(at(file, i) + file.lines[i]);
  }
  return found;
}

void append(std::vector<std::string>& all, std::vector<std::string> more) {
  all.insert(all.end(), more.begin(), more.end());
}

// The longest key of the table that `path` is in: "core/run/" before "core/".
template <class Table>
typename Table::const_iterator row_of(const Table& table, std::string_view path) {
  auto best = table.end();
  for (auto row = table.begin(); row != table.end(); ++row) {
    if (path.starts_with(row->first) &&
        (best == table.end() || row->first.size() > best->first.size())) {
      best = row;
    }
  }
  return best;
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash + 1));
}

// Who may include whom: a folder may include itself and what its row names.
const std::map<std::string, std::set<std::string>>& directions() {
  static const std::set<std::string> all_core = {"core/",      "core/config/", "core/run/",
                                                 "core/http/", "core/store/",  "core/provider/",
                                                 "core/text/", "core/model/"};
  static const auto without = [](std::set<std::string> set, const std::set<std::string>& less) {
    for (const std::string& name : less) set.erase(name);
    return set;
  };
  static const auto with = [](std::set<std::string> set, const std::set<std::string>& more) {
    set.insert(more.begin(), more.end());
    return set;
  };
  static const std::map<std::string, std::set<std::string>> table = {
      {"core/", {}},
      {"core/config/", {"core/"}},
      {"core/run/", {"core/", "core/config/"}},
      {"core/http/", {"core/"}},
      {"core/provider/", {"core/", "core/http/", "core/run/"}},
      {"core/store/", {"core/", "core/http/"}},
      {"core/text/", {"core/", "core/config/"}},
      {"core/model/", {"core/", "core/config/"}},
      {"launcher/", all_core},
      {"agent/", without(all_core, {"core/text/"})},
      {"localhub/", {"core/"}},
      {"cuda/", {}},
      {"trainer/optim/", {"core/", "core/config/", "cuda/"}},
      {"trainer/ops/", {"core/", "core/config/", "cuda/"}},
      {"trainer/kernels/", {"trainer/ops/"}},
      {"trainer/nn/", {"core/", "core/config/", "core/model/", "trainer/ops/"}},
      {"trainer/", with(without(all_core, {"core/http/", "core/provider/", "core/store/"}),
                        {"trainer/nn/", "trainer/ops/", "trainer/optim/"})},
  };
  return table;
}

TEST(TidyTest, FoldersIncludeOnlyWhatTheyMay) {
  const std::regex include(R"re(^\s*#\s*include\s+"([^"]+)")re");
  const std::set<std::string> generated = {"version.h", "cloud_init.h", "runtime_list.h"};
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    if (!is_program_code(file)) continue;
    const auto row = row_of(directions(), file.path);
    ASSERT_NE(row, directions().end()) << file.path << " is in a folder without a row";
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      std::smatch found;
      if (!std::regex_search(file.lines[i], found, include)) continue;
      const std::string included = found[1];
      const std::string folder = folder_of(included);
      if (generated.contains(included) || folder == row->first || row->second.contains(folder)) {
        continue;
      }
      // The emulator stands in for CUDA where there is none; launch.cuh is the one door to it.
      if (file.path == "cuda/launch.cuh" && included == "tests/cuda/emulator.h") continue;
      wrong.push_back(at(file, i) + row->first + " may not include " + included);
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

// A package's header, and the only places that may include it.
struct PackageRule {
  const char* header;  // a regular expression for what stands between the angle brackets
  std::vector<std::string_view> places;
};

TEST(TidyTest, PackagesAreIncludedWhereTheyBelong) {
  const std::vector<PackageRule> rules = {
      {"(torch|ATen|c10)/.*", {"trainer/", "tests/trainer/", "bench/"}},
      {"curl/.*", {"core/http/curl_client.cpp"}},
      {"yaml-cpp/.*", {"core/config/", "agent/local_boot.cpp", "localhub/card.cpp", "tests/"}},
      {"spdlog/.*", {"core/log.cpp"}},
      {"CLI/.*", {"launcher/", "trainer/", "localhub/", "agent/"}},
      {"httplib\\.h", {"localhub/", "agent/", "tests/"}},
      {"openssl/.*", {"core/", "localhub/", "tests/"}},
      {"zlib\\.h", {"core/gzip.cpp", "core/zip.cpp", "tests/fakes/small_zip.h"}},
      {"zstd\\.h", {"core/text/zstd_file.cpp", "tests/core/text/"}},
      {"simdjson\\.h", {"core/text/"}},
      {"pcre2\\.h|utf8proc\\.h", {"core/text/"}},
      {"jinja/.*", {"core/text/"}},
      {"nccl\\.h", {"trainer/"}},
      {"cuda_runtime.*", {"cuda/", "trainer/kernels/", "bench/", "tests/cuda/"}},
  };
  std::vector<std::string> wrong;
  for (const PackageRule& rule : rules) {
    const std::regex include(std::string(R"(^\s*#\s*include\s+[<"](?:)") + rule.header +
                             R"()[>"])");
    for (const Source& file : tree()) {
      if (is_code(file) && !starts_with_any(file.path, rule.places)) {
        append(wrong, matches(file, include));
      }
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(TidyTest, HeadersSayWhatTheyAre) {
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    const std::string ending = fs::path(file.path).extension().string();
    if (!is_program_code(file) || (ending != ".h" && ending != ".cuh")) continue;
    const bool described =
        std::any_of(file.lines.begin(), file.lines.end(),
                    [](const std::string& line) { return line.starts_with("// "); });
    if (!described) wrong.push_back(file.path + " does not say what it is");
    if (std::find(file.lines.begin(), file.lines.end(), "#pragma once") == file.lines.end()) {
      wrong.push_back(file.path + " has no #pragma once");
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(TidyTest, FilesStayShort) {
  constexpr std::size_t kLongest = 600;
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    const bool counted = is_code(file) || file.path.ends_with(".py") ||
                         file.path.ends_with(".sh") || file.path == "dev";
    const bool excused = file.text.find("// tidy: long because") != std::string::npos;
    if (counted && !excused && file.lines.size() > kLongest) {
      wrong.push_back(file.path + " has " + std::to_string(file.lines.size()) + " lines; stop at " +
                      std::to_string(kLongest));
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(TidyTest, NamesAreNouns) {
  const std::regex file_name(
      R"((^|_)(utils?|helpers?|managers?|common|misc)(_|\.|$)|^(types|constants)\.h)");
  const std::regex type_name(R"(\b(class|struct)\s+\w*(Manager|Helper|Utils?)\b)");
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    for (const fs::path& part : fs::path(file.path)) {
      if (std::regex_search(part.string(), file_name)) {
        wrong.push_back(file.path + ": name the noun instead");
      }
    }
    if (is_code(file)) append(wrong, matches(file, type_name));
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(TidyTest, NothingIsLeftForLater) {
  // Put together here, so that this file does not break its own rule.
  const std::regex mark(std::string("\\b(TO") + "DO|FIX" + "ME|XX" + "X|HA" + "CK)\\b");
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    if (!is_data(file)) append(wrong, matches(file, mark));
  }
  EXPECT_THAT(wrong, IsEmpty()) << "write an issue, or do it";
}

TEST(TidyTest, TimeComesFromTheClock) {
  const std::regex now(
      R"(system_clock::now|\bgettimeofday\(|\bstd::time\(|[^_\w]time\((nullptr|NULL|0)\))");
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    if (is_program_code(file) && file.path != "core/clock.cpp") append(wrong, matches(file, now));
  }
  EXPECT_THAT(wrong, IsEmpty()) << "take a Clock&";
}

TEST(TidyTest, LibrariesDoNotPrint) {
  const std::regex print(R"(\bstd::(cout|cerr)\b|[^\w](printf|puts|putchar)\()");
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    const bool library = file.path.starts_with("core/") && folder_of(file.path) != "core/";
    if (is_code(file) && library) append(wrong, matches(file, print));
  }
  EXPECT_THAT(wrong, IsEmpty()) << "return the text; the program prints it";
}

TEST(TidyTest, TextHasNoStrayCharacters) {
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    if (is_data(file)) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      for (const char c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
          wrong.push_back(at(file, i) + "control character " + std::to_string(byte));
        }
      }
      if (is_code(file) && line.find('\t') != std::string::npos) {
        wrong.push_back(at(file, i) + "tab");
      }
      const bool may_end_in_space = file.path.ends_with(".md") || file.path.ends_with(".patch");
      if (!line.empty() && line.back() == ' ' && !may_end_in_space) {
        wrong.push_back(at(file, i) + "space at the end of the line");
      }
      // Characters that look like others or like nothing, by their UTF-8 bytes.
      for (const char* hidden : {"\xE2\x80\x8B", "\xC2\xA0", "\xEF\xBB\xBF", "\xE2\x80\xAE"}) {
        if (line.find(hidden) != std::string::npos) {
          wrong.push_back(at(file, i) + "invisible character");
        }
      }
    }
    if (!file.text.empty() && file.text.back() != '\n') {
      wrong.push_back(file.path + " does not end with a newline");
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

// A made-up user may be called ada or me.
TEST(TidyTest, NothingNamesADevelopersMachine) {
  const std::regex path(std::string("(^|[^\\w.$}])/(wo") + "rk|ho" + "me/(?!ada/|me/)[a-z]+|Use" +
                        "rs)/");
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    if (!is_data(file)) append(wrong, matches(file, path));
  }
  EXPECT_THAT(wrong, IsEmpty());
}

TEST(TidyTest, EveryDownloadIsPinnedAndHashed) {
  const std::regex pin(R"(^[A-Za-z0-9_.-]+==[^ ]+ \\$)");
  const std::regex hash(R"(^    --hash=sha256:[0-9a-f]{64}( \\)?$)");
  const std::regex row(
      "(wheel (any|gpu) [a-z0-9-]+ [0-9.]+ [0-9a-f]{64} [0-9]+ "
      "https://files\\.pythonhosted\\.org/[^ ]+|"
      "file (any|gpu) [A-Za-z0-9/_.-]+ [0-9]+)");
  std::vector<std::string> wrong;
  int pins = 0;
  for (const Source& file : tree()) {
    if (!file.path.starts_with("requirements/")) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      pins += std::regex_match(line, pin);
      // A list of its own kind: what rented machines fetch.
      if (file.path.ends_with("/runtime.txt") && std::regex_match(line, row)) continue;
      if (!line.starts_with("#") && !std::regex_match(line, pin) && !std::regex_match(line, hash)) {
        wrong.push_back(at(file, i) + line);
      }
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
  EXPECT_GT(pins, 10);
}

// A file outside every target would be read by nobody's compiler and believed by everybody.
TEST(TidyTest, EverySourceIsCompiled) {
  const fs::path commands = fs::path(MAYFLY_BINARY_DIR).parent_path() / "compile_commands.json";
  std::string text = read(commands);
  ASSERT_FALSE(text.empty()) << commands;
  // Where several sources are one compilation, that file names them.
  const std::regex unity("\"file\": (\"[^\"]*/unity_[0-9]+_cxx\\.cxx)\"");
  const std::string as_written = text;
  for (std::sregex_iterator found(as_written.begin(), as_written.end(), unity), end; found != end;
       ++found) {
    text += read((*found)[1].str().substr(1));
  }
  const bool with_trainer = text.find("/trainer/main.cpp") != std::string::npos;
  const bool sanitized = text.find("-fsanitize=") != std::string::npos;
  const bool with_kernels = text.find("/trainer/kernels/cuda.cpp") != std::string::npos;
  std::vector<std::string> wrong;
  for (const Source& file : tree()) {
    if (!file.path.ends_with(".cpp")) continue;
    const bool needs_torch =
        starts_with_any(file.path, {"trainer/", "tests/trainer/", "tests/oracle_sft/", "bench/"});
    if (needs_torch && !with_trainer) continue;
    if (sanitized && file.path.starts_with("tests/e2e_kill/")) continue;
    const bool needs_nvcc = starts_with_any(
        file.path, {"trainer/kernels/cuda.cpp", "bench/kernel_bench.cpp", "tests/cuda/gpu/"});
    if (needs_nvcc && !with_kernels) continue;
    if (file.path == "trainer/kernels/none.cpp" && with_kernels) continue;
    if (file.path.starts_with("tests/fuzz/")) {  // of preset fuzz
      const std::string name = fs::path(file.path).stem().string();
      const std::string target = "mayfly_fuzzer(" + name.substr(0, name.rfind('_')) + " ";
      const std::string fuzzers = read(fs::path(MAYFLY_SOURCE_DIR) / "tests/fuzz/CMakeLists.txt");
      if (fuzzers.find(target) == std::string::npos) wrong.push_back(file.path + " is not fuzzed");
      continue;
    }
    if (text.find("\"" + (fs::path(MAYFLY_SOURCE_DIR) / file.path).string() + "\"") ==
        std::string::npos) {
      wrong.push_back(file.path + " belongs to no target");
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
}

// A claim in README or docs names the test that proves it, a page the files it speaks of. Both must
// be there. `Suite.Name` is a test, `oracle.name` one of those in Python, `folder/name` a path.
TEST(TidyTest, DocsNameWhatIsThere) {
  std::string tests;
  std::set<std::string> paths;
  for (const Source& file : tree()) {
    paths.insert(file.path);
    for (std::string up = folder_of(file.path); !up.empty();
         up = folder_of(up.substr(0, up.size() - 1))) {
      paths.insert(up);
    }
    if (file.path.starts_with("tests/")) tests += file.text;
  }
  const auto is_there = [&](std::string name) {
    std::smatch found;
    if (std::regex_match(name, found, std::regex(R"((\w+Test)\.(\w+))"))) {
      return tests.find("(" + found[1].str() + ", " + found[2].str() + ")") != std::string::npos;
    }
    if (std::regex_match(name, found, std::regex(R"(oracle\.(\w+))"))) {
      return tests.find("mayfly_oracle(" + found[1].str() + " ") != std::string::npos;
    }
    if (!std::regex_match(
            name,
            std::regex(
                R"((core|launcher|agent|trainer|localhub|cuda|cloud-init|configs|cmake|tests|bench|docs|scripts|requirements)/[\w./-]*)"))) {
      return true;
    }
    // `x` stands for any name, and the run directory has an agent/ of its own.
    if (std::regex_search(name, std::regex(R"(/x[._]|\.json$|^agent/requests/)"))) return true;
    while (paths.contains(name + "/")) name += "/";
    return paths.contains(name) || paths.contains(name + ".h") || paths.contains(name + ".cpp");
  };
  const std::regex quoted("`([^`]+)`");
  const std::regex link(R"(\]\(([^)#:]+)\))");
  std::vector<std::string> wrong;
  int names = 0;
  for (const Source& file : tree()) {
    if (!file.path.ends_with(".md") || is_data(file)) continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      for (auto it = std::sregex_iterator(line.begin(), line.end(), quoted);
           it != std::sregex_iterator(); ++it) {
        names += 1;
        if (!is_there((*it)[1])) wrong.push_back(at(file, i) + (*it)[1].str());
      }
      for (auto it = std::sregex_iterator(line.begin(), line.end(), link);
           it != std::sregex_iterator(); ++it) {
        const fs::path target = fs::path(MAYFLY_SOURCE_DIR) / folder_of(file.path) / (*it)[1].str();
        if (!fs::exists(target)) wrong.push_back(at(file, i) + "leads nowhere: " + (*it)[1].str());
      }
    }
  }
  EXPECT_THAT(wrong, IsEmpty());
  EXPECT_GT(names, 100);
}

// docs/exit_codes.md has one row per code of core/exit_code.h: | 14 | `spend_limit` | ... |
TEST(TidyTest, ExitCodesAreDocumented) {
  const auto table_of = [](const std::string& path, const std::regex& row) {
    std::map<int, std::string> table;
    for (const std::string& line : split_lines(read(fs::path(MAYFLY_SOURCE_DIR) / path))) {
      std::smatch found;
      if (!std::regex_search(line, found, row)) continue;
      const bool number_first = std::isdigit(static_cast<unsigned char>(found[1].str()[0])) != 0;
      table[std::stoi(found[number_first ? 1 : 2])] = found[number_first ? 2 : 1];
    }
    return table;
  };
  const auto in_code = table_of("core/exit_code.h", std::regex(R"(^  (\w+) = (\d+),)"));
  const auto in_docs =
      table_of("docs/exit_codes.md", std::regex(R"(^\|\s*(\d+)\s*\|\s*`(\w+)`\s*\|)"));
  EXPECT_EQ(in_code.at(static_cast<int>(ExitCode::spend_limit)), "spend_limit");
  EXPECT_EQ(in_docs, in_code);
}

}  // namespace
}  // namespace mayfly
