#include "localhub/request_log.h"

#include <cctype>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/log.h"

namespace mayfly::localhub {

using nlohmann::json;

namespace {

constexpr std::size_t kLongestBody = 1 << 20;
constexpr std::size_t kShortestHash = 40;

json masked(const json& value) {
  if (value.is_string()) return mask_tokens(mask_hashes(value.get<std::string>()));
  if (value.is_array()) {
    json list = json::array();
    for (const json& one : value) list.push_back(masked(one));
    return list;
  }
  if (!value.is_object()) return value;
  json object = json::object();
  for (const auto& [key, one] : value.items()) {
    const bool is_content = (key == "content" || key == "sample") && one.is_string();
    object[key] =
        is_content ? json("<" + std::to_string(one.get<std::string>().size()) + ">") : masked(one);
  }
  return object;
}

// JSON masked; lines of JSON as a list; other bytes by their number.
json body_shape(const HubRequest& request) {
  if (request.body.empty() || request.body.size() > kLongestBody) return request.body.size();
  if (const auto whole = parse_json(request.body, "body")) return masked(*whole);
  json lines = json::array();
  std::string_view rest = request.body;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = parse_json(rest.substr(0, end), "line");
    if (!line) return request.body.size();
    lines.push_back(masked(*line));
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
  }
  return lines;
}

}  // namespace

std::string mask_hashes(const std::string& text) {
  const auto is_hex = [](char letter) {
    return std::isdigit(static_cast<unsigned char>(letter)) != 0 ||
           (letter >= 'a' && letter <= 'f');
  };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && is_hex(text[end])) ++end;
    if (end - i >= kShortestHash) {
      out += "<hash>";
    } else {
      out += text.substr(i, std::max<std::size_t>(1, end - i));
      end = std::max(end, i + 1);
    }
    i = end;
  }
  return out;
}

std::string request_log_line(const std::string& origin, const HubRequest& request, int status) {
  json line = {{"origin", origin},
               {"method", request.method},
               {"path", mask_tokens(mask_hashes(request.path))},
               {"status", status},
               {"auth", !request.header("Authorization").empty()}};
  json query = json::object();
  for (const auto& [name, value] : request.query) {
    const bool secret = name == "signature" || name == "expires";
    query[name] = secret ? "<signed>" : mask_tokens(mask_hashes(value));
  }
  if (!query.empty()) line["query"] = query;
  for (const char* name : {"Content-Type", "Accept", "Range", "X-HF-Download-Counter"}) {
    if (const auto value = request.header(name); !value.empty() && value != "*/*") {
      line[name] = value;
    }
  }
  if (const json body = body_shape(request); body != 0) line["body"] = body;
  return json_line(line);
}

}  // namespace mayfly::localhub
