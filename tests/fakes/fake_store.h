// A hub in memory: branches of files with their sizes and hashes. Faults as the test says.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/sha256.h"
#include "core/store/store.h"

namespace mayfly {

class FakeStore final : public Store {
 public:
  Status ensure_repository() override {
    ++repository_calls;
    return repository_answer;
  }
  Status ensure_branch(const std::string& branch) override {
    branches_made.push_back(branch);
    return Unit{};
  }
  Result<StoreCommit> commit(const std::string& branch, const std::string& summary,
                             const std::vector<StoreUpload>& files) override {
    if (!commit_errors.empty()) {
      const Error error = commit_errors.front();
      commit_errors.pop_front();
      return error;
    }
    const std::string id = "commit-" + std::to_string(commits.size() + 1);
    std::vector<StoredFile> stored;
    for (const StoreUpload& file : files) {
      const Result<std::string> bytes = read_file(file.source);
      if (!bytes) return bytes.error();
      stored.push_back({file.path, static_cast<std::int64_t>(bytes->size()), sha256_hex(*bytes),
                        git_blob_id(*bytes)});
    }
    if (loses_a_file && !stored.empty()) stored.pop_back();
    summaries.push_back(summary);
    commits[id] = stored;
    heads[branch] = id;
    return StoreCommit{id};
  }
  Result<std::vector<StoredFile>> list(const std::string& revision) override {
    const auto head = heads.find(revision);
    const auto found = commits.find(head == heads.end() ? revision : head->second);
    if (found == commits.end()) return Error{ErrorKind::not_found, "no revision " + revision};
    return found->second;
  }
  Result<std::vector<std::string>> branches() override {
    std::vector<std::string> names;
    for (const auto& [name, head] : heads) names.push_back(name);
    return names;
  }

  Status repository_answer = Unit{};
  int repository_calls = 0;
  std::deque<Error> commit_errors;  // of the next commits
  bool loses_a_file = false;        // answers well, and does not list the last file
  std::vector<std::string> branches_made;
  std::vector<std::string> summaries;
  std::map<std::string, std::vector<StoredFile>> commits;
  std::map<std::string, std::string> heads;
};

}  // namespace mayfly
