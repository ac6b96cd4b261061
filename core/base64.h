// Base64 (RFC 4648 section 4, with padding): how file contents travel inside JSON.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

std::string base64_encode(std::string_view bytes);
// Padding may be missing; line breaks are not accepted. Error: corrupt.
Result<std::string> base64_decode(std::string_view text);

}  // namespace mayfly
