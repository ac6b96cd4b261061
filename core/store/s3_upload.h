// One file to one object: in one request, or in parts when it is large.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/store/s3_session.h"

namespace mayfly {

// Sends the file; the server refuses bytes that do not have the SHA-256 that goes with them. An
// upload in parts that fails is given up, so that its parts are not billed for ever. Errors:
// not_found (the file), corrupt, and what S3Session returns.
Status put_s3_object(S3Session& s3, const std::filesystem::path& file, const std::string& key,
                     Retry& retry);

}  // namespace mayfly
