#include "localhub/listing.h"

#include "localhub/library.h"

namespace mayfly::localhub {

namespace fs = std::filesystem;

Status list_folder(const fs::path& root, std::ostream& out) {
  std::error_code code;
  if (!fs::is_directory(root / "repos", code)) {
    return Error{ErrorKind::not_found, "no hub in " + root.string()};
  }
  const auto library = Library::open_to_read(root);
  if (!library) return library.error();
  for (const Repository& repository : (*library)->all()) {
    const RepositoryInfo& info = repository.info();
    const std::string name =
        info.repo.kind == RepoKind::model
            ? info.repo.name.full()
            : std::string(repo_kind_name(info.repo.kind)) + "s/" + info.repo.name.full();
    for (const auto& [branch, id] : repository.branches()) {
      const auto commit = repository.resolve(id);
      if (!commit) continue;
      std::int64_t bytes = 0;
      for (const auto& [path, entry] : commit->tree) bytes += entry.size;
      out << name << "  " << branch << "  " << commit->tree.size() << " files  " << bytes
          << " bytes  " << id.substr(0, 12) << "  " << commit->summary << "\n";
    }
  }
  return Unit{};
}

}  // namespace mayfly::localhub
