#include "localhub/library.h"

#include <algorithm>

#include "core/atomic_file.h"

namespace mayfly::localhub {

namespace fs = std::filesystem;

namespace {

constexpr RepoKind kRepoKinds[] = {RepoKind::model, RepoKind::dataset, RepoKind::space};

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    if (entry.is_directory(code)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

Result<std::unique_ptr<Library>> Library::open(const fs::path& root) {
  if (Status made = make_folders(root / "repos"); !made) return made.error();
  auto objects = ObjectStore::open(root);
  if (!objects) return objects.error();
  return std::unique_ptr<Library>(new Library(root, std::move(*objects)));
}

Result<std::unique_ptr<Library>> Library::open_to_read(const fs::path& root) {
  return std::unique_ptr<Library>(new Library(root, ObjectStore(root)));
}

fs::path Library::folder_of(const HubRepo& repo) const {
  return root_ / "repos" / (std::string(repo_kind_name(repo.kind)) + "s") / repo.name.owner /
         repo.name.name;
}

Result<Repository> Library::find(const HubRepo& repo) const {
  return Repository::open(folder_of(repo), repo, objects_);
}

Result<Repository> Library::create(const HubRepo& repo, bool is_private, const std::string& author,
                                   WallTime now) {
  if (find(repo)) {
    return Error{ErrorKind::guard, "You already created this " +
                                       std::string(repo_kind_name(repo.kind)) +
                                       " repo: " + repo.name.full()};
  }
  Repository made(folder_of(repo), {repo, is_private, now}, objects_);
  if (Status created = made.create(author); !created) return created.error();
  return made;
}

Status Library::remove(const HubRepo& repo) {
  std::error_code code;
  const fs::path folder = folder_of(repo);
  if (!fs::remove(folder / "repository.json", code)) {
    return Error{ErrorKind::not_found, "Repository not found"};
  }
  fs::remove_all(folder, code);
  return Unit{};
}

std::vector<Repository> Library::all() const {
  std::vector<Repository> found;
  for (const RepoKind kind : kRepoKinds) {
    const fs::path top = root_ / "repos" / (std::string(repo_kind_name(kind)) + "s");
    for (const fs::path& owner : folders_in(top)) {
      for (const fs::path& name : folders_in(owner)) {
        auto repository = find({kind, {owner.filename().string(), name.filename().string()}});
        if (repository) found.push_back(std::move(*repository));
      }
    }
  }
  return found;
}

}  // namespace mayfly::localhub
