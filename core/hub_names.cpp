#include "core/hub_names.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "core/url.h"

namespace mayfly {

namespace {

constexpr std::size_t kLongestPart = 96;
constexpr std::size_t kLongestPath = 1024;
constexpr std::size_t kLongestBranch = 240;  // of a file name in localhub's folder too

bool is_word(char letter) {
  const auto byte = static_cast<unsigned char>(letter);
  return byte < 128 && (std::isalnum(byte) != 0 || letter == '_');
}

Error broken(const std::string& what, std::string_view text, const std::string& rule) {
  return Error{ErrorKind::invalid_config, what + " \"" + std::string(text) + "\" " + rule};
}

std::string part_problem(std::string_view part) {
  if (part.empty()) return "has an empty part";
  if (part.size() > kLongestPart) return "has a part longer than 96 letters";
  const bool plain = std::all_of(part.begin(), part.end(), [](char letter) {
    return is_word(letter) || letter == '-' || letter == '.';
  });
  if (!plain) return "may hold only letters, digits, '-', '_' and '.'";
  if (!is_word(part.front()) || !is_word(part.back())) {
    return "has a part that does not start and end with a letter, digit or '_'";
  }
  if (part.find("--") != std::string_view::npos) return "must not hold \"--\"";
  if (part.find("..") != std::string_view::npos) return "must not hold \"..\"";
  if (part.size() >= 4 && part.substr(part.size() - 4) == ".git") return "must not end in \".git\"";
  return "";
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char letter) {
    const auto byte = static_cast<unsigned char>(letter);
    return byte < 32 || byte == 127;
  });
}

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (std::size_t start = 0;;) {
    const auto slash = path.find('/', start);
    parts.push_back(path.substr(start, slash - start));
    if (slash == std::string_view::npos) return parts;
    start = slash + 1;
  }
}

}  // namespace

std::string_view repo_kind_name(RepoKind kind) {
  switch (kind) {
    case RepoKind::model:
      return "model";
    case RepoKind::dataset:
      return "dataset";
    case RepoKind::space:
      return "space";
  }
  return "model";
}

Result<RepoName> parse_repo_name(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || text.find('/', slash + 1) != std::string_view::npos) {
    return broken("the repository", text, "must be owner/name");
  }
  const RepoName repo{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  for (const std::string& part : {repo.owner, repo.name}) {
    if (const std::string problem = part_problem(part); !problem.empty()) {
      return broken("the repository", text, problem);
    }
  }
  return repo;
}

Status check_repo_path(std::string_view path) {
  const std::string what = "the path";
  if (path.empty() || path.size() > kLongestPath) {
    return broken(what, path, "must have 1 to 1024 letters");
  }
  if (has_control(path) || path.find('\\') != std::string_view::npos) {
    return broken(what, path, "holds a backslash or a control character");
  }
  for (const std::string_view part : split_path(path)) {
    if (part.empty()) return broken(what, path, "starts or ends with '/', or has two in a row");
    if (part == "." || part == "..") return broken(what, path, "must not hold '.' or '..'");
    if (part == ".git" || part == ".cache") {
      return broken(what, path, "must not hold a part \".git\" or \".cache\"");
    }
  }
  return Unit{};
}

// git-check-ref-format(1), without what only matters on a command line.
Status check_branch_name(std::string_view name) {
  const std::string what = "the branch";
  if (name.empty() || name.size() > kLongestBranch) {
    return broken(what, name, "must have 1 to 240 letters");
  }
  if (has_control(name) || name.find_first_of(" ~^:?*[\\") != std::string_view::npos ||
      name.find("..") != std::string_view::npos || name.find("@{") != std::string_view::npos) {
    return broken(what, name, "holds a letter that branches cannot have");
  }
  for (const std::string_view part : split_path(name)) {
    const bool bad = part.empty() || part.front() == '.' || part.front() == '-' ||
                     part.back() == '.' || (part.size() >= 5 && part.ends_with(".lock"));
    if (bad) return broken(what, name, "has a part that branches cannot have");
  }
  if (name.rfind("refs/", 0) == 0) return broken(what, name, "must not start with \"refs/\"");
  return Unit{};
}

std::string HubRepo::api() const {
  return "/api/" + std::string(repo_kind_name(kind)) + "s/" + name.full();
}

std::string HubRepo::web() const {
  const std::string prefix =
      kind == RepoKind::model ? "" : "/" + std::string(repo_kind_name(kind)) + "s";
  return prefix + "/" + name.full();
}

std::string encode_path(std::string_view path) {
  std::string encoded;
  for (const std::string_view part : split_path(path)) {
    if (!encoded.empty()) encoded += '/';
    encoded += percent_encode(part);
  }
  return encoded;
}

}  // namespace mayfly
