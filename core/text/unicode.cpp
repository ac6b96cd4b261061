#include "core/text/unicode.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <memory>

#include <simdjson.h>
#include <utf8proc.h>

namespace mayfly {

namespace {

// The length of the longest start of `bytes` that could begin a character, and whether it is one.
struct Sequence {
  std::size_t size;
  bool valid;
};

Sequence sequence_at(std::string_view bytes) {
  const auto byte = [&](std::size_t i) {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return {1, true};
  if (first < 0xc2 || first > 0xf4) return {1, false};
  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  // The second byte's range is narrower where overlong forms, surrogates and values beyond
  // U+10FFFF would begin (Unicode 15, table 3-7).
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return {1, false};
  for (std::size_t i = 2; i < size; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return {i, false};
  }
  return {size, true};
}

// May a stretch of text be composed apart from what stands before this character?
bool starts_a_stretch(char32_t code_point) {
  if (code_point < 0x300) return true;
  // Hangul vowels and trailing consonants join the syllable before them by arithmetic, not by
  // table.
  if (code_point >= 0x1160 && code_point <= 0x11ff) return false;
  // Tibetan vowel signs of class 0 that decompose into marks of other classes.
  if (code_point == 0x0f73 || code_point == 0x0f75 || code_point == 0x0f81) return false;
  const utf8proc_property_t* const property =
      utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point));
  // From 0x8000 on the index says that the character can be the second of a composed pair.
  const bool second_of_a_pair =
      property->comb_index >= 0x8000 && property->comb_index != UINT16_MAX;
  return property->combining_class == 0 && !second_of_a_pair;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  return simdjson::validate_utf8(bytes.data(), bytes.size());
}

std::string to_valid_utf8(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return std::string(bytes);
  std::string text;
  text.reserve(bytes.size() + 16);
  while (!bytes.empty()) {
    const Sequence sequence = sequence_at(bytes);
    text += sequence.valid ? bytes.substr(0, sequence.size) : std::string_view("\xef\xbf\xbd");
    bytes.remove_prefix(sequence.size);
  }
  return text;
}

bool is_number(char32_t code_point) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
         category == UTF8PROC_CATEGORY_NO;
}

CodePoint code_point_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xe0) return {(first & 0x1f) << 6 | (byte(1) & 0x3f), 2};
  if (first < 0xf0) {
    return {(first & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), 3};
  }
  return {(first & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f),
          4};
}

bool is_surely_nfc(std::string_view text) {
  // U+0300 begins with the byte 0xCC in UTF-8, and no continuation byte is as large.
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0xcc; });
}

std::string nfc(std::string_view text) {
  if (is_surely_nfc(text)) return std::string(text);
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  assert(size >= 0);  // it fails on text that is not UTF-8, which the caller has excluded
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

Composed nfc_with_places(std::string_view text) {
  Composed composed;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = at + code_point_at(text, at).size;
    const bool ends = next == text.size() || starts_a_stretch(code_point_at(text, next).value);
    if (ends) {
      composed.text += nfc(text.substr(begin, next - begin));
      composed.places.push_back({composed.text.size(), next});
      begin = next;
    }
    at = next;
  }
  return composed;
}

}  // namespace mayfly
