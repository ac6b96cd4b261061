// gzip (RFC 1952), for the few kilobytes that cloud-init takes packed.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace mayfly {

// The same bytes for the same text: no name and no time in it.
std::string gzip_compress(std::string_view text);
// Error: corrupt (not gzip, damaged, cut short, or more than `most_bytes` when unpacked).
Result<std::string> gzip_expand(std::string_view packed, std::size_t most_bytes);

}  // namespace mayfly
