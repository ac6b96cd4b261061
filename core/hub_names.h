// What may be called what on the hub, and how names become addresses. Rules as in huggingface_hub
// 2.4.0 (utils/_validators.py, _commit_api.py).
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

enum class RepoKind { model, dataset, space };

// "model", "dataset", "space".
std::string_view repo_kind_name(RepoKind kind);

struct RepoName {
  std::string owner;
  std::string name;

  std::string full() const {
    return owner + "/" + name;
  }
};

// Reads "owner/name". Error: invalid_config, saying which rule it breaks.
Result<RepoName> parse_repo_name(std::string_view text);

// A path inside a repository: relative, no "." or ".." part, no ".git" or ".cache" part, no
// backslash, no control character. Error: invalid_config.
Status check_repo_path(std::string_view path);

// A branch name as git takes it. Error: invalid_config.
Status check_branch_name(std::string_view name);

// A repository, and the addresses under which the hub serves it.
struct HubRepo {
  RepoKind kind = RepoKind::model;
  RepoName name;

  std::string api() const;  // "/api/models/owner/name"
  std::string web() const;  // "/owner/name", with "/datasets" or "/spaces" in front for those
};

// Each part percent-encoded, the slashes kept.
std::string encode_path(std::string_view path);

}  // namespace mayfly
