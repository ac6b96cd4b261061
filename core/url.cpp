#include "core/url.h"

#include <cctype>

namespace mayfly {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& letter : out) {
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  return out;
}

int hex_value(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

// The text of `url` before its path.
std::string_view authority_part(std::string_view url) {
  const auto start = url.find("://");
  return url.substr(0, url.find_first_of("/?#", start + 3));
}

bool is_web_scheme(std::string_view scheme) {
  const std::string name = lower(scheme);
  return name == "http" || name == "https";
}

}  // namespace

std::string origin_of(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos || !is_web_scheme(url.substr(0, scheme_end))) return "";
  const std::string scheme = lower(url.substr(0, scheme_end));
  std::string host = lower(authority_part(url).substr(scheme_end + 3));
  if (const auto at = host.rfind('@'); at != std::string::npos) host = host.substr(at + 1);
  if (host.empty()) return "";
  const auto bracket = host.rfind(']');  // of an IPv6 address
  const auto colon = host.rfind(':');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  if (!has_port) host += scheme == "https" ? ":443" : ":80";
  return scheme + "://" + host;
}

Result<std::string> resolve_url(const std::string& base, const std::string& location) {
  const auto colon = location.find(':');
  const auto slash = location.find_first_of("/?#");
  std::string url;
  if (colon != std::string::npos && (slash == std::string::npos || colon < slash)) {
    url = location;
  } else if (location.rfind("//", 0) == 0) {
    url = base.substr(0, base.find("://") + 1) + location;
  } else if (location.rfind('/', 0) == 0) {
    url = std::string(authority_part(base)) + location;
  } else {
    const std::string path = base.substr(0, base.find_first_of("?#"));
    const std::size_t authority = authority_part(base).size();
    const auto last = path.rfind('/');
    url = last != std::string::npos && last >= authority ? path.substr(0, last + 1) + location
                                                         : path + "/" + location;
  }
  if (origin_of(url).empty()) {
    return Error{ErrorKind::refused, "redirected to something that is not http or https"};
  }
  return url;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    const bool plain = byte < 128 && (std::isalnum(byte) != 0 || letter == '-' || letter == '.' ||
                                      letter == '_' || letter == '~');
    if (plain) {
      out += letter;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return Error{ErrorKind::corrupt, "not a percent-encoded text"};
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace mayfly
