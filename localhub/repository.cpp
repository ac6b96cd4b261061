#include "localhub/repository.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/url.h"
#include "localhub/upload_mode.h"

namespace mayfly::localhub {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::size_t kShortestId = 7;

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Applies one change after the other to a tree.
class TreeEditor {
 public:
  TreeEditor(Tree tree, const ObjectStore& objects) : tree_(std::move(tree)), objects_(objects) {}

  Status operator()(const PutFile& put) {
    if (Status fits = check_name(put.path); !fits) return fits;
    const auto sha256 = objects_.put(put.bytes);
    if (!sha256) return sha256.error();
    tree_[put.path] = regular_entry(*sha256, put.bytes);
    return Unit{};
  }
  Status operator()(const PutLargeFile& put) {
    if (Status fits = check_name(put.path); !fits) return fits;
    const std::int64_t size = objects_.size_of(put.sha256);
    if (size < 0 || (put.size >= 0 && put.size != size)) {
      return Error{
          ErrorKind::refused,
          "LFS pointer of " + put.path + " points to a file that was not uploaded: " + put.sha256};
    }
    tree_[put.path] = lfs_entry(put.sha256, size);
    large_.push_back(put.path);
    return Unit{};
  }
  Status operator()(const DeleteFile& gone) {
    if (tree_.erase(gone.path) == 1) return Unit{};
    return Error{ErrorKind::not_found, "A file with the name \"" + gone.path + "\" does not exist"};
  }
  Status operator()(const DeleteFolder& gone) {
    if (!has_folder(tree_, gone.path)) {
      return Error{ErrorKind::not_found,
                   "A folder with the name \"" + gone.path + "\" does not exist"};
    }
    std::erase_if(tree_,
                  [&](const auto& entry) { return entry.first.starts_with(gone.path + "/"); });
    return Unit{};
  }

  Tree& tree() {
    return tree_;
  }
  const std::vector<std::string>& large() const {
    return large_;
  }

 private:
  // A name cannot be a file and a folder.
  Status check_name(const std::string& path) const {
    bool clash = has_folder(tree_, path);
    for (auto slash = path.find('/'); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      clash = clash || tree_.contains(path.substr(0, slash));
    }
    if (!clash) return Unit{};
    return Error{ErrorKind::refused, "\"" + path + "\" would be a file and a folder"};
  }

  Tree tree_;
  const ObjectStore& objects_;
  std::vector<std::string> large_;
};

}  // namespace

Status Repository::write_info() const {
  return write_file(folder_ / "repository.json",
                    json_text({{"kind", repo_kind_name(info_.repo.kind)},
                               {"name", info_.repo.name.full()},
                               {"private", info_.is_private},
                               {"created_at", format_utc(info_.created_at)}}));
}

Status Repository::create(const std::string& author) {
  for (const char* folder : {"commits", "refs/heads", "refs/tags"}) {
    if (Status made = make_folders(folder_ / folder); !made) return made;
  }
  const auto attributes = objects_->put(kDefaultAttributes);
  if (!attributes) return attributes.error();
  Commit first{"", "", "initial commit", "", author, info_.created_at, {}};
  first.tree[".gitattributes"] = regular_entry(*attributes, kDefaultAttributes);
  first = with_id(std::move(first));
  if (Status stored = store_commit(first); !stored) return stored;
  if (Status set = set_ref("heads", "main", first.id); !set) return set;
  return write_info();  // last: without it the repository does not exist
}

Result<Repository> Repository::open(const fs::path& folder, const HubRepo& repo,
                                    const ObjectStore& objects) {
  const auto text = read_file(folder / "repository.json");
  if (!text) return text.error();
  const auto info = parse_json(*text, (folder / "repository.json").string());
  if (!info) return info.error();
  const bool complete = info->is_object() && info->contains("private") &&
                        (*info)["private"].is_boolean() && info->contains("created_at") &&
                        (*info)["created_at"].is_string();
  const auto created =
      complete ? parse_utc((*info)["created_at"].get<std::string>()) : Result<WallTime>(WallTime{});
  if (!complete || !created) {
    return Error{ErrorKind::corrupt, (folder / "repository.json").string() + " is damaged"};
  }
  return Repository(folder, {repo, (*info)["private"].get<bool>(), *created}, objects);
}

Status Repository::set_private(bool is_private) {
  info_.is_private = is_private;
  return write_info();
}

fs::path Repository::ref_path(const char* kind, const std::string& name) const {
  return folder_ / "refs" / kind / percent_encode(name);
}

std::map<std::string, std::string> Repository::refs(const char* kind) const {
  std::map<std::string, std::string> found;
  std::error_code code;
  for (const auto& file : fs::directory_iterator(folder_ / "refs" / kind, code)) {
    const std::string encoded = file.path().filename().string();
    const auto name = percent_decode(encoded);
    const auto commit = read_file(file.path());
    // A writer's temporary file is named <ref>.tmp.<pid>.
    if (!name || !commit || encoded.find(".tmp.") != std::string::npos) continue;
    found[*name] = *commit;
  }
  return found;
}

std::map<std::string, std::string> Repository::branches() const {
  return refs("heads");
}

std::map<std::string, std::string> Repository::tags() const {
  return refs("tags");
}

Result<Commit> Repository::read_commit(const std::string& id) const {
  const auto text = read_file(folder_ / "commits" / (id + ".json"));
  if (!text) return text.error();
  const auto parsed = parse_json(*text, id);
  if (!parsed) return parsed.error();
  return commit_from_json(*parsed);
}

Result<Commit> Repository::resolve(const std::string& revision) const {
  std::string name = revision;
  if (name.starts_with("refs/heads/")) name = name.substr(std::string("refs/heads/").size());
  if (name == "HEAD") name = "main";
  if (check_branch_name(name)) {
    for (const char* kind : {"heads", "tags"}) {
      if (const auto id = read_file(ref_path(kind, name))) return read_commit(*id);
    }
  }
  if (is_hex(name) && name.size() == 40) return read_commit(name);
  if (is_hex(name) && name.size() >= kShortestId && name.size() < 40) {
    std::error_code code;
    for (const auto& file : fs::directory_iterator(folder_ / "commits", code)) {
      const std::string id = file.path().stem().string();
      if (id.starts_with(name)) return read_commit(id);
    }
  }
  return Error{ErrorKind::not_found, "Invalid rev id: " + revision};
}

std::vector<Commit> Repository::history(const std::string& commit_id, std::size_t limit) const {
  std::vector<Commit> commits;
  for (std::string id = commit_id; !id.empty() && commits.size() < limit;) {
    auto commit = read_commit(id);
    if (!commit) break;
    id = commit->parent;
    commits.push_back(std::move(*commit));
  }
  return commits;
}

Status Repository::store_commit(const Commit& commit) const {
  return write_file(folder_ / "commits" / (commit.id + ".json"), json_text(commit_to_json(commit)));
}

Status Repository::set_ref(const char* kind, const std::string& name,
                           const std::string& commit) const {
  return write_file(ref_path(kind, name), commit);
}

Status Repository::create_branch(const std::string& name, const Commit& start) {
  if (Status named = check_branch_name(name); !named) {
    return Error{ErrorKind::refused, "Invalid reference for a branch: " + name};
  }
  std::error_code code;
  if (fs::exists(ref_path("heads", name), code)) {
    return Error{ErrorKind::guard, "Reference refs/heads/" + name + " already exists"};
  }
  return set_ref("heads", name, start.id);
}

Status Repository::create_empty_branch(const std::string& name, const std::string& author,
                                       WallTime now) {
  const Commit empty = with_id(Commit{"", "", "initial commit", "", author, now, {}});
  if (Status stored = store_commit(empty); !stored) return stored;
  return create_branch(name, empty);
}

Status Repository::delete_branch(const std::string& name) {
  if (name == "main") return Error{ErrorKind::refused, "The branch main cannot be deleted"};
  std::error_code code;
  if (fs::remove(ref_path("heads", name), code)) return Unit{};
  return Error{ErrorKind::not_found, "Reference refs/heads/" + name + " does not exist"};
}

Status Repository::create_tag(const std::string& name, const Commit& at) {
  if (Status named = check_branch_name(name); !named) {
    return Error{ErrorKind::refused, "Invalid reference for a tag: " + name};
  }
  std::error_code code;
  if (fs::exists(ref_path("tags", name), code)) {
    return Error{ErrorKind::guard, "Tag reference exists already: " + name};
  }
  return set_ref("tags", name, at.id);
}

Status Repository::delete_tag(const std::string& name) {
  std::error_code code;
  if (fs::remove(ref_path("tags", name), code)) return Unit{};
  return Error{ErrorKind::not_found, "Reference refs/tags/" + name + " does not exist"};
}

// The hub marks files that came by LFS and that no pattern names.
Status Repository::put_attributes(Tree& tree) const {
  const auto entry = tree.find(".gitattributes");
  std::string text;
  if (entry != tree.end()) {
    const auto stored = objects_->read(entry->second.sha256);
    if (!stored) return stored.error();
    text = *stored;
  }
  std::string more;
  for (const auto& [path, file] : tree) {
    if (file.lfs && !attributes_say_lfs(text, path)) more += attributes_line(path);
  }
  if (more.empty()) return Unit{};
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += more;
  const auto sha256 = objects_->put(text);
  if (!sha256) return sha256.error();
  tree[".gitattributes"] = regular_entry(*sha256, text);
  return Unit{};
}

Result<Commit> Repository::apply(const std::string& branch, const CommitRequest& request,
                                 const std::string& author, WallTime now) {
  const auto id = read_file(ref_path("heads", branch));
  if (!id) return Error{ErrorKind::not_found, "Invalid rev id: " + branch};
  const auto head = read_commit(*id);
  if (!head) return head.error();
  if (!request.parent.empty() &&
      (request.parent.size() < kShortestId || !head->id.starts_with(request.parent))) {
    return Error{
        ErrorKind::guard,
        "The branch was updated since you opened this page. Please refresh and try again."};
  }
  TreeEditor editor(head->tree, *objects_);
  for (const Change& change : request.changes) {
    if (Status changed = std::visit([&](const auto& one) { return editor(one); }, change); !changed)
      return changed.error();
  }
  if (!editor.large().empty()) {
    if (Status marked = put_attributes(editor.tree()); !marked) return marked.error();
  }
  const Commit made = with_id(Commit{"", head->id, request.summary, request.description, author,
                                     now, std::move(editor.tree())});
  if (Status stored = store_commit(made); !stored) return stored.error();
  if (Status set = set_ref("heads", branch, made.id); !set) return set.error();
  return made;
}

Result<Commit> Repository::squash(const std::string& branch, const std::string& summary,
                                  const std::string& author, WallTime now) {
  const auto head = resolve(branch);
  if (!head) return head.error();
  const Commit made = with_id(Commit{"", "", summary, "", author, now, head->tree});
  if (Status stored = store_commit(made); !stored) return stored.error();
  if (Status set = set_ref("heads", branch, made.id); !set) return set.error();
  return made;
}

}  // namespace mayfly::localhub
