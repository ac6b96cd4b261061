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

// Combining characters that were assigned after Unicode 9, whose tables the reference composes
// with: to it they are like letters. Found by comparing all characters; up to Unicode 15.
constexpr struct {
  char32_t first, last;
} kNotMarksInUnicode9[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0xece, 0xece},
    {0x1715, 0x1715},   {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},
    {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50},
    {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e},
    {0x11839, 0x1183a}, {0x11930, 0x11930}, {0x1193d, 0x1193e}, {0x11943, 0x11943},
    {0x119e0, 0x119e0}, {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99},
    {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42},
    {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
    {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}};

bool is_unknown_mark(char32_t code_point) {
  if (code_point < kNotMarksInUnicode9[0].first) return false;
  for (const auto& [first, last] : kNotMarksInUnicode9) {
    if (code_point <= last) return code_point >= first;
  }
  return false;
}

// May a stretch of text be composed apart from what stands before this character?
bool starts_a_stretch(char32_t code_point) {
  if (code_point < 0x300 || is_unknown_mark(code_point)) return true;
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

// A character that alone is its own composed form.
bool is_itself(char32_t code_point) {
  if (code_point < 0x300) return true;
  const utf8proc_property_t* const property =
      utf8proc_get_property(static_cast<utf8proc_int32_t>(code_point));
  const bool canonical = property->decomp_seqindex != UINT16_MAX && property->decomp_type == 0;
  return !canonical;
}

std::string compose(std::string_view stretch) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(stretch.data()),
                   static_cast<utf8proc_ssize_t>(stretch.size()), &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  assert(size >= 0);  // it fails on text that is not UTF-8, which the caller has excluded
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

// Calls `take(stretch, same)` for one stretch after the other, each composed by itself; `same`: it
// is its own composed form.
template <class Take>
void for_each_stretch(std::string_view text, Take&& take) {
  for (std::size_t begin = 0; begin < text.size();) {
    const CodePoint first = code_point_at(text, begin);
    std::size_t end = begin + first.size;
    bool same = is_itself(first.value);
    if (is_unknown_mark(first.value)) {
      same = true;
    } else {
      while (end < text.size()) {
        const CodePoint next = code_point_at(text, end);
        if (starts_a_stretch(next.value)) break;
        end += next.size;
        same = false;
      }
    }
    take(text.substr(begin, end - begin), same);
    begin = end;
  }
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
  std::string composed;
  composed.reserve(text.size());
  for_each_stretch(text, [&](std::string_view stretch, bool same) {
    composed += same ? stretch : std::string_view(compose(stretch));
  });
  return composed;
}

Composed nfc_with_places(std::string_view text) {
  Composed composed;
  composed.text.reserve(text.size());
  std::size_t original = 0;
  for_each_stretch(text, [&](std::string_view stretch, bool same) {
    composed.text += same ? stretch : std::string_view(compose(stretch));
    original += stretch.size();
    composed.places.push_back({composed.text.size(), original});
  });
  return composed;
}

}  // namespace mayfly
