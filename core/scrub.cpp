#include "core/scrub.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "core/url.h"

namespace mayfly {

namespace {

constexpr std::size_t kShortestOwn = 6;
constexpr std::size_t kShortestToken = 12;  // behind its prefix
constexpr std::size_t kShortestValue = 6;   // of a name that says it is a secret

constexpr std::array<std::string_view, 14> kPrefixes = {
    "hf_",  "api_org_", "sk-",    "sk_",         "AKIA",  "ASIA",    "ghp_",
    "gho_", "ghs_",     "glpat-", "github_pat_", "xoxb-", "Bearer ", "Basic "};

// How the names of secrets end, in lower case without "_" and "-".
constexpr std::array<std::string_view, 10> kNameEnds = {
    "token",     "secret",     "password",  "passwd",        "apikey",
    "accesskey", "privatekey", "secretkey", "authorization", "credential"};

bool is_variable_letter(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '-';
}

bool is_token_letter(char letter) {
  return is_variable_letter(letter) || letter == '.' || letter == '/' || letter == '+' ||
         letter == '=';
}

bool names_a_secret(std::string_view name) {
  std::string plain;
  for (const char letter : name) {
    if (letter == '_' || letter == '-') continue;
    plain += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return std::any_of(kNameEnds.begin(), kNameEnds.end(),
                     [&](std::string_view end) { return plain.ends_with(end); });
}

// A part of the text to be replaced: [begin, end).
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// hf_abc...: what stands behind the prefix.
std::optional<Span> token_at(std::string_view text, std::size_t at) {
  if (at > 0 && std::isalnum(static_cast<unsigned char>(text[at - 1])) != 0) return std::nullopt;
  for (const std::string_view prefix : kPrefixes) {
    if (text.substr(at, prefix.size()) != prefix) continue;
    std::size_t end = at + prefix.size();
    while (end < text.size() && is_token_letter(text[end])) ++end;
    if (end - at - prefix.size() >= kShortestToken) return Span{at + prefix.size(), end};
  }
  return std::nullopt;
}

// Whether a value is worth hiding: not a number, not a special token such as <|im_end|>.
bool may_be_secret(std::string_view value) {
  if (value.size() < kShortestValue || value.front() == '<') return false;
  return !std::all_of(value.begin(), value.end(), [](char letter) {
    return std::isdigit(static_cast<unsigned char>(letter)) != 0 || letter == '.' || letter == '*';
  });
}

// name=value, name: value, "name": "value"; `at` is the separator.
std::optional<Span> value_at(std::string_view text, std::size_t at) {
  std::size_t name_end = at;
  while (name_end > 0 &&
         (text[name_end - 1] == '"' || text[name_end - 1] == '\'' || text[name_end - 1] == ' ')) {
    --name_end;
  }
  std::size_t name_begin = name_end;
  while (name_begin > 0 && is_variable_letter(text[name_begin - 1])) --name_begin;
  if (!names_a_secret(text.substr(name_begin, name_end - name_begin))) return std::nullopt;
  std::size_t begin = at + 1;
  while (begin < text.size() && (text[begin] == ' ' || text[begin] == '"' || text[begin] == '\'')) {
    ++begin;
  }
  const bool quoted = begin > at + 1 && text[begin - 1] != ' ';
  const std::string_view ends = quoted ? "\"'\n" : " \t\r\n,;&\"'})]";
  std::size_t end = std::min(text.size(), text.find_first_of(ends, begin));
  // "Authorization: Bearer x": the word in front is no secret, and what follows is masked by it.
  const std::string_view value = text.substr(begin, end - begin);
  if (value == "Bearer" || value == "Basic" || !may_be_secret(value)) return std::nullopt;
  return Span{begin, end};
}

std::string mask_shapes(std::string_view text) {
  std::string masked;
  std::size_t at = 0;
  while (at < text.size()) {
    std::optional<Span> found = token_at(text, at);
    if (!found && (text[at] == '=' || text[at] == ':')) found = value_at(text, at);
    if (!found) {
      masked += text[at++];
      continue;
    }
    masked += text.substr(at, found->begin - at);
    masked += "***";
    at = found->end;
  }
  return masked;
}

// From BEGIN to END; a key whose one end was cut off is masked to that end of the text.
std::string mask_keys(std::string text) {
  constexpr std::string_view kMark = "PRIVATE KEY-----";
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kEnd = "-----END ";
  constexpr std::string_view kMasked = "*** (a private key)";
  std::size_t at = 0;
  while ((at = text.find(kMark, at)) != std::string::npos) {
    const auto line = text.rfind('\n', at);
    const std::size_t line_begin = line == std::string::npos ? 0 : line + 1;
    const std::string_view head = std::string_view(text).substr(line_begin, at - line_begin);
    if (head.find(kEnd) != std::string_view::npos) {  // its beginning was cut off
      text.replace(0, at + kMark.size(), kMasked);
      at = kMasked.size();
      continue;
    }
    const auto begin = head.find(kBegin);
    if (begin == std::string_view::npos) {
      at += kMark.size();
      continue;
    }
    const std::size_t from = line_begin + begin;
    const auto end_line = text.find(kEnd, at);
    const auto end = end_line == std::string::npos ? end_line : text.find(kMark, end_line);
    const std::size_t until = end == std::string::npos ? text.size() : end + kMark.size();
    text.replace(from, until - from, kMasked);
    at = from + kMasked.size();
  }
  return text;
}

void mask_value(std::string& text, const std::string& value) {
  for (std::size_t at = text.find(value); at != std::string::npos; at = text.find(value, at + 3)) {
    text.replace(at, value.size(), "***");
  }
}

}  // namespace

std::string scrub_secrets(std::string_view text, const std::vector<Secret>& own) {
  std::string masked(text);
  for (const Secret& secret : own) {
    if (secret.reveal().size() < kShortestOwn) continue;
    mask_value(masked, secret.reveal());
    mask_value(masked, percent_encode(secret.reveal()));
  }
  return mask_shapes(mask_keys(std::move(masked)));
}

}  // namespace mayfly
