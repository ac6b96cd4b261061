#include "launcher/bundle.h"

#include <array>

#include "core/atomic_file.h"
#include "core/gzip.h"
#include "core/sha256.h"
#include "core/tar.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr std::array kPrograms = {"agent", "train"};

}  // namespace

Result<Bundle> make_bundle(const fs::path& programs, const fs::path& cache) {
  std::vector<TarFile> files;
  std::string hashes;
  for (const char* name : kPrograms) {
    const fs::path path = programs / name;
    const Result<std::string> hash = sha256_file(path);
    if (!hash) {
      return Error{
          ErrorKind::not_found,
          "the program `" + std::string(name) + "` is not beside `launch` in " + programs.string(),
          "build it with ./dev build"};
    }
    hashes += *hash;
  }
  const fs::path folder = cache / "bundles";
  if (const Status made = make_folders(folder); !made) return made.error();
  const fs::path file = folder / (sha256_hex(hashes).substr(0, 32) + ".tar.gz");
  if (const Result<std::string> there = sha256_file(file)) return Bundle{file, *there};
  for (const char* name : kPrograms) {
    Result<std::string> bytes = read_file(programs / name);
    if (!bytes) return bytes.error();
    files.push_back({name, *std::move(bytes), 0755});
  }
  const Result<std::string> archive = tar_archive(files);
  if (!archive) return archive.error();
  const std::string packed = gzip_compress(*archive);
  if (const Status written = write_file(file, packed); !written) return written.error();
  return Bundle{file, sha256_hex(packed)};
}

Result<PlannedProgram> planned_bundle(const AgentConfig& config, const fs::path& programs,
                                      const fs::path& cache) {
  if (!config.url) {
    if (config.sha256) {
      return Error{ErrorKind::invalid_config, "agent.sha256 is of nothing: agent.url is not set"};
    }
    const Result<Bundle> bundle = make_bundle(programs, cache);
    if (!bundle) return bundle.error();
    return PlannedProgram{"bundle", kOverSsh, bundle->sha256};
  }
  const std::string& url = *config.url;
  constexpr std::size_t kHexDigits = 64;
  const bool hash = config.sha256 && config.sha256->size() == kHexDigits &&
                    config.sha256->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hash) {
    return Error{ErrorKind::invalid_config, "agent.url needs agent.sha256, 64 hex digits",
                 "sha256sum of the file that is there"};
  }
  const bool reachable = url.starts_with("https://") || url.starts_with("http://127.0.0.1:") ||
                         url.starts_with("file:///");
  if (!reachable || url.find_first_of(" \t\r\n") != std::string::npos) {
    return Error{ErrorKind::invalid_config, "agent.url is no address of a bundle: " + url,
                 "https://..., or file:///... for a file of the machine's image"};
  }
  return PlannedProgram{"bundle", url, *config.sha256};
}

}  // namespace mayfly
