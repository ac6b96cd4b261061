// The few questions we ask of an address.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

// "https://host:port" in lower case with the port written out; "" if it is not an http(s) address.
// Credentials go to equal origins only.
std::string origin_of(std::string_view url);

// Where `location` leads when it stands in an answer from `base` (RFC 3986): it may be relative.
// Error: refused (not an http or https address).
Result<std::string> resolve_url(const std::string& base, const std::string& location);

// Everything but letters, digits and "-._~" as %XX, so that it is one segment of a path.
std::string percent_encode(std::string_view text);
// Error: corrupt (a % without two hex digits).
Result<std::string> percent_decode(std::string_view text);

}  // namespace mayfly
