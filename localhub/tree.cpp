#include "localhub/tree.h"

#include "core/sha256.h"

namespace mayfly::localhub {

namespace {

// "f00d" as two bytes.
std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

}  // namespace

std::string lfs_pointer(const std::string& sha256, std::int64_t size) {
  return "version https://git-lfs.github.com/spec/v1\noid sha256:" + sha256 + "\nsize " +
         std::to_string(size) + "\n";
}

TreeEntry lfs_entry(const std::string& sha256, std::int64_t size) {
  return {size, sha256, git_blob_id(lfs_pointer(sha256, size)), true};
}

TreeEntry regular_entry(const std::string& sha256, std::string_view bytes) {
  return {static_cast<std::int64_t>(bytes.size()), sha256, git_blob_id(bytes), false};
}

std::string git_tree_id(const Tree& tree, const std::string& prefix) {
  // git sorts folders as if their names ended in "/".
  std::map<std::string, std::string> entries;
  for (auto it = tree.lower_bound(prefix); it != tree.end() && it->first.starts_with(prefix);
       ++it) {
    const std::string rest = it->first.substr(prefix.size());
    const auto slash = rest.find('/');
    if (slash == std::string::npos) {
      entries[rest] = "100644 " + rest + '\0' + from_hex(it->second.blob_id);
    } else if (const std::string name = rest.substr(0, slash); !entries.contains(name + "/")) {
      entries[name + "/"] =
          "40000 " + name + '\0' + from_hex(git_tree_id(tree, prefix + name + "/"));
    }
  }
  std::string content;
  for (const auto& [name, entry] : entries) content += entry;
  Digest digest(Digest::Kind::sha1);
  digest.update("tree " + std::to_string(content.size()) + '\0');
  digest.update(content);
  return digest.finish_hex();
}

std::vector<ListedEntry> list_tree(const Tree& tree, const std::string& prefix, bool recursive) {
  const std::string start = prefix.empty() ? "" : prefix + "/";
  std::map<std::string, ListedEntry> listed;
  for (auto it = tree.lower_bound(start); it != tree.end() && it->first.starts_with(start); ++it) {
    const std::string& path = it->first;
    for (auto slash = path.find('/', start.size()); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string folder = path.substr(0, slash);
      if (!listed.contains(folder)) {
        listed[folder] = {folder, git_tree_id(tree, folder + "/"), nullptr};
      }
      if (!recursive) break;
    }
    const bool direct = path.find('/', start.size()) == std::string::npos;
    if (direct || recursive) listed[path] = {path, it->second.blob_id, &it->second};
  }
  std::vector<ListedEntry> entries;
  for (auto& [path, entry] : listed) entries.push_back(std::move(entry));
  return entries;
}

bool has_folder(const Tree& tree, const std::string& path) {
  const auto it = tree.lower_bound(path + "/");
  return it != tree.end() && it->first.starts_with(path + "/");
}

}  // namespace mayfly::localhub
