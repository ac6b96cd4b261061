#include "core/provider/destroy_call.h"

#include "core/url.h"

namespace mayfly {

namespace {

std::string with_id(std::string text, const std::string& id) {
  constexpr std::string_view kMark = "{id}";
  const auto at = text.find(kMark);
  if (at != std::string::npos) text.replace(at, kMark.size(), id);
  return text;
}

// curl's own way of quoting: a backslash before backslash and quote.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "\"";
}

bool has_control(const std::string& text) {
  for (const char letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) return true;
  }
  return false;
}

}  // namespace

Result<std::string> curl_config(const DestroyCall& call, const InstanceId& id) {
  const std::string url = with_id(call.url, percent_encode(id));
  const std::string origin = origin_of(url);
  bool odd = origin.empty() || id.empty() || has_control(url) || has_control(id) ||
             has_control(call.method) || has_control(call.body);
  for (const auto& [name, value] : call.headers) {
    odd = odd || has_control(name) || has_control(value.reveal());
  }
  if (odd) return Error{ErrorKind::usage, "the destroy request cannot be written for curl"};
  const std::string host = origin.substr(origin.find("://") + 3);
  const auto colon = host.rfind(':');
  std::string text = "# host " + host.substr(0, colon) + " " + host.substr(colon + 1) + "\n";
  text += "request = " + quoted(call.method) + "\nurl = " + quoted(url) + "\n";
  for (const auto& [name, value] : call.headers) {
    text += "header = " + quoted(name + ": " + value.reveal()) + "\n";
  }
  if (!call.body.empty()) text += "data = " + quoted(with_id(call.body, id)) + "\n";
  return text;
}

}  // namespace mayfly
