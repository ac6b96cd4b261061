// Opens a file in a folder that somebody else may write to, for a process with more rights than he.
//
// The agent is root and reads what the trainer wrote, whose user is another: a link planted there,
// for the file or for a folder on the way to it, would make root read or write some other file. So
// no link is followed, and what is not a regular file is refused before it is read.
#pragma once

#include <filesystem>

#include "core/descriptor.h"
#include "core/result.h"

namespace mayfly {

// `relative` is below `root`, without "..". `root` itself may be reached through links. `flags` as
// open() takes them; a new file gets mode 0644. Errors: not_found, no_space, refused (a link, not a
// file, permissions).
Result<Descriptor> open_beneath(const std::filesystem::path& root,
                                const std::filesystem::path& relative, int flags);

}  // namespace mayfly
