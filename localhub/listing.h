// `localhub ls`: what is in the folder, without a server.
#pragma once

#include <filesystem>
#include <ostream>

#include "core/result.h"

namespace mayfly::localhub {

// One line a branch: repository, branch, number of files, bytes, commit, summary. Error: not_found.
Status list_folder(const std::filesystem::path& root, std::ostream& out);

}  // namespace mayfly::localhub
