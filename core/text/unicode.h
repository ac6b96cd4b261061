// The little Unicode a tokenizer needs: is it UTF-8, and its composed form (NFC).
//
// Tables: utf8proc of the system (2.8 knows Unicode 14); characters assigned later count as
// unassigned. Composing is that of HuggingFace tokenizers, which knows Unicode 9: marks assigned
// since then stay where they are. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mayfly {

bool is_valid_utf8(std::string_view bytes);

// `bytes` with every maximal part that is not UTF-8 replaced by U+FFFD, as Rust's from_utf8_lossy
// does it, which is what the reference tokenizer decodes with.
std::string to_valid_utf8(std::string_view bytes);

// Unicode category N: decimal digits, letters that are numbers, other numbers.
bool is_number(char32_t code_point);

// The code point that starts at text[at], and its length in bytes. Requires valid UTF-8.
struct CodePoint {
  char32_t value;
  std::size_t size;
};
CodePoint code_point_at(std::string_view text, std::size_t at);

// True when `text` is certainly in NFC already: it has no character from U+0300 on. The cheap test
// before nfc().
bool is_surely_nfc(std::string_view text);

// Composed form. Requires valid UTF-8.
std::string nfc(std::string_view text);

// The composed form, and where it came from: places[i] says that the first places[i].composed bytes
// of `text` come from the first places[i].original bytes of the original. Ascending; one entry for
// each stretch that composes on its own, the last is both sizes.
struct Composed {
  struct Place {
    std::size_t composed;
    std::size_t original;
  };
  std::string text;
  std::vector<Place> places;
};
Composed nfc_with_places(std::string_view text);

}  // namespace mayfly
