// The files of a commit, and the names git would give them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::localhub {

struct TreeEntry {
  std::int64_t size = 0;
  std::string sha256;   // of the content; its name in the object store
  std::string blob_id;  // what git stores: the content, or for lfs the pointer file
  bool lfs = false;

  friend bool operator==(const TreeEntry&, const TreeEntry&) = default;
};

// By path.
using Tree = std::map<std::string, TreeEntry>;

// The text of a Git LFS pointer file (git-lfs specification, version 1).
std::string lfs_pointer(const std::string& sha256, std::int64_t size);

TreeEntry lfs_entry(const std::string& sha256, std::int64_t size);
TreeEntry regular_entry(const std::string& sha256, std::string_view bytes);

// The id git gives to the folder `prefix` ("" or "a/b/") of the tree.
std::string git_tree_id(const Tree& tree, const std::string& prefix = "");

// A file or folder as a listing shows it.
struct ListedEntry {
  std::string path;
  std::string oid;                  // git's id
  const TreeEntry* file = nullptr;  // null: a folder
};

// What is in the folder `prefix` ("" : the top), with everything below it if `recursive`; in order
// of path. Points into `tree`.
std::vector<ListedEntry> list_tree(const Tree& tree, const std::string& prefix, bool recursive);

// A file or a folder of that name is there.
bool has_folder(const Tree& tree, const std::string& path);

}  // namespace mayfly::localhub
