// Writing tar archives (POSIX.1-1988 ustar), for files that a rented machine unpacks with tar(1): a
// bundle of programs, what the launcher hands over. Own code: forty lines against a library
// (libarchive) that the launcher would need for nothing else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct TarFile {
  std::string name;  // relative, at most 100 bytes
  std::string bytes;
  unsigned mode = 0644;
};

// The same bytes for the same files: owner root, time 0. Errors: usage (a name that does not fit,
// is absolute or leads out of the folder; more than 8 GB).
Result<std::string> tar_archive(const std::vector<TarFile>& files);

}  // namespace mayfly
