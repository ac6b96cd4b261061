#include "agent/steering_request.h"

#include <algorithm>
#include <charconv>

namespace mayfly {

namespace {

Error no_request(const std::string& what) {
  return Error{ErrorKind::corrupt, "not a request: " + what};
}

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "GET /status?x HTTP/1.1"
Status read_first_line(std::string_view line, SteeringRequest& request) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return no_request("its first line");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_token(method)) return no_request("its method");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return no_request("its version");
  if (!target.starts_with('/') || !is_printable(target) ||
      target.find_first_of(" \t") != std::string_view::npos) {
    return no_request("its target is no path");
  }
  request.method = method;
  request.path = target.substr(0, target.find('?'));
  return Unit{};
}

Status read_header(std::string_view line, SteeringRequest& request) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return no_request("a header without a colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_token(name) || !is_printable(value)) return no_request("a header's characters");
  const bool is_new = request.headers.insert_or_assign(lower(name), std::string(value)).second;
  if (!is_new && lower(name) == "content-length") return no_request("two lengths");
  return Unit{};
}

Result<std::size_t> body_length(const SteeringRequest& request) {
  if (request.headers.contains("transfer-encoding")) return no_request("a body of unknown length");
  const std::string_view text = request.header("content-length");
  if (text.empty()) return std::size_t{0};
  std::size_t length = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
    return no_request("its length");
  if (length > kMostRequestBytes) return no_request("longer than 16 KB");
  return length;
}

}  // namespace

std::string_view SteeringRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

Result<std::optional<SteeringRequest>> parse_steering_request(std::string_view bytes) {
  const Error too_long = no_request("longer than 16 KB");
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMostRequestBytes) return too_long;
    return std::optional<SteeringRequest>{};
  }
  SteeringRequest request;
  std::string_view head = bytes.substr(0, end);
  for (bool first = true; first || !head.empty(); first = false) {
    const auto stop = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, stop);
    head.remove_prefix(std::min(stop + 2, head.size()));
    const Status read = first ? read_first_line(line, request) : read_header(line, request);
    if (!read) return read.error();
  }
  const Result<std::size_t> length = body_length(request);
  if (!length) return length.error();
  const std::size_t whole = end + 4 + *length;
  if (whole > kMostRequestBytes) return too_long;
  if (bytes.size() < whole) return std::optional<SteeringRequest>{};
  request.body = bytes.substr(end + 4, *length);
  return std::optional<SteeringRequest>(std::move(request));
}

}  // namespace mayfly
