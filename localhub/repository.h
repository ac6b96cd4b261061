// One repository as files: repository.json, commits/<id>.json, refs/heads/<branch>,
// refs/tags/<tag>. Names of branches are percent-encoded in file names, so that "ckpt/one" and
// "ckpt" can both be. Every file is replaced by rename, a ref last: a crash leaves the branch where
// it was.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/hub_names.h"
#include "core/result.h"
#include "localhub/commit.h"
#include "localhub/object_store.h"

namespace mayfly::localhub {

struct RepositoryInfo {
  HubRepo repo;
  bool is_private = false;
  WallTime created_at;
};

// Reading is safe from any thread; only one thread may change it at a time (Library::writing).
class Repository {
 public:
  Repository(std::filesystem::path folder, RepositoryInfo info, const ObjectStore& objects)
      : folder_(std::move(folder)), info_(std::move(info)), objects_(&objects) {}

  // Writes a fresh repository: a first commit with .gitattributes, and the branch main.
  Status create(const std::string& author);
  // Errors: not_found, corrupt.
  static Result<Repository> open(const std::filesystem::path& folder, const HubRepo& repo,
                                 const ObjectStore& objects);

  const RepositoryInfo& info() const {
    return info_;
  }
  Status set_private(bool is_private);

  // A branch, a tag, "refs/heads/...", or at least 7 digits of a commit id. Error: not_found.
  Result<Commit> resolve(const std::string& revision) const;
  std::map<std::string, std::string> branches() const;  // name -> commit id
  std::map<std::string, std::string> tags() const;
  // Newest first, at most `limit`.
  std::vector<Commit> history(const std::string& commit_id, std::size_t limit) const;

  // Error of these: guard (it exists), not_found, refused (bad name, or it is main).
  Status create_branch(const std::string& name, const Commit& start);
  // A branch that begins with a commit of no files.
  Status create_empty_branch(const std::string& name, const std::string& author, WallTime now);
  Status delete_branch(const std::string& name);
  Status create_tag(const std::string& name, const Commit& at);
  Status delete_tag(const std::string& name);

  // Errors: guard (the parent is not the head), not_found (a file to delete is missing), refused
  // (bytes were never uploaded).
  Result<Commit> apply(const std::string& branch, const CommitRequest& request,
                       const std::string& author, WallTime now);
  // One commit with the branch's files in place of its history.
  Result<Commit> squash(const std::string& branch, const std::string& summary,
                        const std::string& author, WallTime now);

 private:
  std::filesystem::path ref_path(const char* kind, const std::string& name) const;
  std::map<std::string, std::string> refs(const char* kind) const;
  Result<Commit> read_commit(const std::string& id) const;
  Status store_commit(const Commit& commit) const;
  Status set_ref(const char* kind, const std::string& name, const std::string& commit) const;
  Status write_info() const;
  Status put_attributes(Tree& tree) const;

  std::filesystem::path folder_;
  RepositoryInfo info_;
  const ObjectStore* objects_;
};

}  // namespace mayfly::localhub
