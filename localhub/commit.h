// A commit: a tree, where it came from, and why. Its id is the one git computes.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/clock.h"
#include "core/result.h"
#include "localhub/tree.h"

namespace mayfly::localhub {

struct Commit {
  std::string id;
  std::string parent;  // "" : the first
  std::string summary;
  std::string description;
  std::string author;
  WallTime date;
  Tree tree;
};

// Sets the id from everything else.
Commit with_id(Commit commit);

nlohmann::json commit_to_json(const Commit& commit);
// Error: corrupt.
Result<Commit> commit_from_json(const nlohmann::json& value);

// The lines of a commit request (newline-delimited JSON).
struct PutFile {
  std::string path, bytes;
};
struct PutLargeFile {
  std::string path, sha256;
  std::int64_t size = -1;  // -1: not said
};
struct DeleteFile {
  std::string path;
};
struct DeleteFolder {
  std::string path;
};
using Change = std::variant<PutFile, PutLargeFile, DeleteFile, DeleteFolder>;

struct CommitRequest {
  std::string summary;
  std::string description;
  std::string parent;  // "" : whatever the head is; else at least 7 digits of it
  std::vector<Change> changes;
};

// Error: refused, with what is wrong in which line.
Result<CommitRequest> read_commit_request(std::string_view ndjson);

}  // namespace mayfly::localhub
