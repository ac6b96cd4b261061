// The one token that may write, in a file only its owner can read.
#pragma once

#include <filesystem>

#include "core/result.h"
#include "core/secret.h"

namespace mayfly::localhub {

// Reads the first line of `file`; makes the file with a fresh token, "hf_" and 34 random letters,
// if there is none. Errors: refused (empty, or readable by others), and those of the file.
Result<Secret> read_or_make_token(const std::filesystem::path& file);

}  // namespace mayfly::localhub
