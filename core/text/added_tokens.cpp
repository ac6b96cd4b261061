#include "core/text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include <utf8proc.h>

#include "core/text/unicode.h"

namespace mayfly {

namespace {

bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  if (c == 0x85) return true;
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

// \w of Rust's regex: letters, marks, decimal digits, letter numbers, connectors.
bool is_word(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return c == 0x200c || c == 0x200d;  // the joiners
  }
}

std::size_t previous_at(std::string_view text, std::size_t at) {
  do {
    --at;
  } while ((static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
  return at;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word(code_point_at(text, previous_at(text, begin)).value)) return false;
  return end == text.size() || !is_word(code_point_at(text, end).value);
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  const auto first_byte = [](const AddedToken& token) {
    return static_cast<unsigned char>(token.content.front());
  };
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](const AddedToken& a, const AddedToken& b) {
    if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
    return a.content.size() > b.content.size();
  });
  for (std::uint32_t i = 0; i < tokens_.size(); ++i) {
    Range& range = by_first_byte_[first_byte(tokens_[i])];
    if (range.end == 0) range.begin = i;
    range.end = i + 1;
  }
  if (!tokens_.empty() && first_byte(tokens_.front()) == first_byte(tokens_.back())) {
    only_first_byte_ = tokens_.front().content.front();
  }
}

const AddedToken* AddedTokens::longest_at(std::string_view text, std::size_t at) const {
  const Range range = by_first_byte_[static_cast<unsigned char>(text[at])];
  for (std::uint32_t i = range.begin; i < range.end; ++i) {
    if (text.substr(at, tokens_[i].content.size()) == tokens_[i].content) return &tokens_[i];
  }
  return nullptr;
}

std::optional<AddedTokens::Found> AddedTokens::find(std::string_view text, std::size_t from) const {
  if (tokens_.empty()) return std::nullopt;
  for (std::size_t at = from; at < text.size(); ++at) {
    if (only_first_byte_ != 0) {
      const void* const next = std::memchr(text.data() + at, only_first_byte_, text.size() - at);
      if (!next) return std::nullopt;
      at = static_cast<std::size_t>(static_cast<const char*>(next) - text.data());
    }
    const AddedToken* const token = longest_at(text, at);
    if (!token) continue;
    std::size_t begin = at;
    std::size_t end = at + token->content.size();
    if (token->single_word && !stands_alone(text, begin, end)) {
      at = end - 1;  // the reference goes on after the discarded match
      continue;
    }
    while (token->lstrip && begin > from &&
           is_space(code_point_at(text, previous_at(text, begin)).value)) {
      begin = previous_at(text, begin);
    }
    while (token->rstrip && end < text.size()) {
      const CodePoint c = code_point_at(text, end);
      if (!is_space(c.value)) break;
      end += c.size;
    }
    return Found{token->id, begin, end};
  }
  return std::nullopt;
}

}  // namespace mayfly
