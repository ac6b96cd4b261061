// The byte-level alphabet of GPT-2, in which each byte stands as a printable character, so that a
// vocabulary of bytes can be written as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mayfly {

// Undoes it. nullopt when there is a character outside of that alphabet.
std::optional<std::string> bytes_of_byte_level(std::string_view text);
// Bytes in that alphabet, as UTF-8.
std::string byte_level_of_bytes(std::string_view bytes);

}  // namespace mayfly
