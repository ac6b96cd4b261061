#include "localhub/exchange.h"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/url.h"

namespace mayfly::localhub {

namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

std::string_view find_header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (same_name(header.name, name)) return header.value;
  }
  return "";
}

}  // namespace

std::string_view HubRequest::header(std::string_view name) const {
  return find_header(headers, name);
}

std::string_view HubAnswer::header(std::string_view name) const {
  return find_header(headers, name);
}

std::string HubRequest::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found != query.end() ? found->second : "";
}

bool HubRequest::is_true(const std::string& name) const {
  std::string value = parameter(name);
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return value == "true" || value == "1" || value == "yes" || value == "on";
}

HubAnswer json_answer(const nlohmann::json& body, int status) {
  HubAnswer answer;
  answer.status = status;
  answer.body = json_line(body);
  return answer;
}

HubAnswer error_answer(int status, const std::string& words, const std::string& code) {
  HubAnswer answer = json_answer({{"error", words}}, status);
  if (!code.empty()) answer.headers.push_back({"X-Error-Code", code});
  std::string line = words;
  std::replace(line.begin(), line.end(), '\n', ' ');
  answer.headers.push_back({"X-Error-Message", line});
  return answer;
}

bool read_target(std::string_view target, HubRequest& request) {
  const auto question = target.find('?');
  request.path = std::string(target.substr(0, question));
  request.segments.clear();
  std::string_view rest = request.path;
  while (!rest.empty() && rest.front() == '/') rest.remove_prefix(1);
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const auto segment = percent_decode(rest.substr(0, slash));
    if (!segment) return false;
    request.segments.push_back(*segment);
    rest = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  }
  request.query.clear();
  if (question != std::string_view::npos) request.query = read_form(target.substr(question + 1));
  return true;
}

std::multimap<std::string, std::string> read_form(std::string_view text) {
  std::multimap<std::string, std::string> form;
  while (!text.empty()) {
    const auto end = text.find('&');
    std::string pair(text.substr(0, end));
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    std::replace(pair.begin(), pair.end(), '+', ' ');
    const auto equals = pair.find('=');
    const auto name = percent_decode(std::string_view(pair).substr(0, equals));
    const auto value = percent_decode(
        equals == std::string::npos ? "" : std::string_view(pair).substr(equals + 1));
    if (name && value && !name->empty()) form.emplace(*name, *value);
  }
  return form;
}

}  // namespace mayfly::localhub
