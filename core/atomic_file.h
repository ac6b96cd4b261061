// Files that are either there in full or not there: read whole, replace by rename, append a line.
//
// A rename without fsync of the file and of its folder is lost on a power cut, so every write here
// syncs both (about 1 ms on an SSD). Errors: not_found, no_space, corrupt (read error), refused
// (permissions); the previous content is intact after any of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

Result<std::string> read_file(const std::filesystem::path& path);

// Whether there is a file of its own under that name: no link, pipe or device, which somebody who
// may write into the folder could put there to have another file read.
bool is_plain_file(const std::filesystem::path& path);

// Writes `<path>.tmp.<pid>`, syncs, renames over `path`, syncs the folder. The folder must exist.
// `mode` as chmod takes it: 0600 for anything secret.
Status write_file(const std::filesystem::path& path, std::string_view bytes, unsigned mode = 0644);

// The same from pieces, which stand one after the other in the file: for content too large to be
// put together in memory first.
Status write_file(const std::filesystem::path& path, std::span<const std::string_view> pieces,
                  unsigned mode = 0644);

// Makes a file of that size whose blocks are promised by the file system (fallocate); on one that
// promises nothing, looks at what is free. Errors as write_file.
Status reserve_space(const std::filesystem::path& path, std::int64_t bytes);

// Appends `line` and a newline by one write call, so that two processes never mix their lines.
// Not synced: for logs and events, which a crash of the machine may cut short.
Status append_line(const std::filesystem::path& path, std::string_view line);

// Syncs every regular file below `folder` and the folders themselves; then renames it to `target`
// and syncs the parent. `target` must not exist.
Status publish_folder(const std::filesystem::path& folder, const std::filesystem::path& target);

// mkdir -p; refused with the path and the reason in words.
Status make_folders(const std::filesystem::path& path);

}  // namespace mayfly
