// CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds bytes that a crash tore or a disk damaged. Not
// for anything an attacker may write.
//
// Own code because there is no library at hand: zlib's crc32 is another polynomial, OpenSSL has
// none, and Debian 12 packages no C or C++ library with it. About 400 MB/s, and journals are small.
#pragma once

#include <cstdint>
#include <string_view>

namespace mayfly {

// Of "123456789": 0xe3069283.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace mayfly
