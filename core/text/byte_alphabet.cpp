#include "core/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "core/text/unicode.h"

namespace mayfly {

namespace {

// The 188 bytes that print stand for themselves (as Latin-1), the others
// for U+0100 and on, in order (GPT-2's bytes_to_unicode).
struct ByteAlphabet {
  std::array<std::int16_t, 0x144> byte_of;  // by code point; -1: not in the alphabet
  std::array<std::uint16_t, 256> point_of;  // the code point of each byte
  ByteAlphabet() {
    byte_of.fill(-1);
    std::size_t next = 0x100;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const bool prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      const std::size_t point = prints ? byte : next++;
      byte_of[point] = static_cast<std::int16_t>(byte);
      point_of[byte] = static_cast<std::uint16_t>(point);
    }
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

std::optional<std::string> bytes_of_byte_level(std::string_view text) {
  const ByteAlphabet& alphabet = byte_alphabet();
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (c.value >= alphabet.byte_of.size() || alphabet.byte_of[c.value] < 0) {
      return std::nullopt;
    }
    bytes += static_cast<char>(alphabet.byte_of[c.value]);
    at += c.size;
  }
  return bytes;
}

std::string byte_level_of_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const unsigned point = byte_alphabet().point_of[static_cast<unsigned char>(byte)];
    if (point < 0x80) {
      text += static_cast<char>(point);
    } else {
      text += static_cast<char>(0xc0 | point >> 6);
      text += static_cast<char>(0x80 | (point & 0x3f));
    }
  }
  return text;
}

}  // namespace mayfly
