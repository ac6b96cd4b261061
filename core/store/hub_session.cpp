#include "core/store/hub_session.h"

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/log.h"

namespace mayfly {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::size_t kLongestWords = 500;

std::string without_spaces(std::string text) {
  std::erase_if(text,
                [](char letter) { return letter == ' ' || letter == '\r' || letter == '\n'; });
  return text;
}

std::string shortened(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char letter) { return letter == '\n' || letter == '\r' || letter == '\t'; }, ' ');
  if (text.size() > kLongestWords) text = text.substr(0, kLongestWords) + "...";
  return mask_tokens(text);
}

// {"error": "..."}, {"error": ["..."]}, {"errors": [{"message": "..."}]}, {"error_description"}.
std::string words_in_json(const json& body) {
  if (!body.is_object()) return "";
  for (const char* key : {"error", "error_description", "message"}) {
    const auto found = body.find(key);
    if (found == body.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_array() && !found->empty() && found->front().is_string()) {
      return found->front().get<std::string>();
    }
  }
  const auto errors = body.find("errors");
  if (errors == body.end() || !errors->is_array()) return "";
  std::string all;
  for (const json& error : *errors) {
    const std::string words = words_in_json(error);
    if (!words.empty()) all += (all.empty() ? "" : "; ") + words;
  }
  return all;
}

ErrorKind kind_of(const HttpResponse& response) {
  const std::string_view code = response.header("X-Error-Code");
  if (code == "RepoNotFound" && response.status != 401) return ErrorKind::not_found;
  switch (response.status) {
    case 401:
    case 403:
    case 407:
      return ErrorKind::unauthorized;
    case 404:
    case 410:
      return ErrorKind::not_found;
    case 408:
    case 425:
      return ErrorKind::unreachable;
    case 429:
      return ErrorKind::rate_limited;
    default:
      return response.status >= 500 ? ErrorKind::unreachable : ErrorKind::refused;
  }
}

std::string hint_of(const HttpResponse& response, const std::string& words) {
  if (response.status == 401) {
    return "check the token: HF_TOKEN, or the file that HF_TOKEN_PATH names";
  }
  if (response.status == 403 && words.find("storage") == std::string::npos) {
    return "the token may not do this: it needs the role \"write\", or the right to this "
           "repository";
  }
  if (response.status == 400 && words.find("secret") != std::string::npos) {
    return "a file holds a token; take it out, or leave logs out of this commit";
  }
  return "";
}

}  // namespace

HubAddress hub_address_from(const std::function<std::string(const char*)>& variable) {
  HubAddress address;
  if (std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) {
    while (!endpoint.empty() && endpoint.back() == '/') endpoint.pop_back();
    address.endpoint = endpoint;
  }
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (address.token.empty()) address.token = Secret(without_spaces(variable(name)));
  }
  if (!address.token.empty()) return address;
  std::string file = variable("HF_TOKEN_PATH");
  if (file.empty()) {
    std::string home = variable("HF_HOME");
    if (home.empty()) {
      const std::string cache = variable("XDG_CACHE_HOME");
      home = (cache.empty() ? variable("HOME") + "/.cache" : cache) + "/huggingface";
    }
    file = home + "/token";
  }
  if (const auto text = read_file(file)) address.token = Secret(without_spaces(*text));
  return address;
}

std::string server_words(const HttpResponse& response) {
  if (const auto words = response.header("X-Error-Message"); !words.empty()) {
    return shortened(std::string(words));
  }
  if (response.header("Content-Type").find("html") != std::string_view::npos) return "";
  if (response.body.empty() || response.body.front() == '<') return "";
  if (response.body.front() != '{' && response.body.front() != '[') return shortened(response.body);
  const auto body = parse_json(response.body, "answer");
  return body ? shortened(words_in_json(*body)) : "";
}

Error hub_error(const std::string& doing, const HttpResponse& response) {
  const std::string words = server_words(response);
  std::string message = doing + ": the hub answered " + std::to_string(response.status);
  if (!words.empty()) message += ": " + words;
  return Error{kind_of(response), message, hint_of(response, words)};
}

HubSession::HubSession(HttpClient& http, Clock& clock, HubAddress address, HubPatience patience)
    : http_(http), clock_(clock), address_(std::move(address)), patience_(patience) {
  while (!address_.endpoint.empty() && address_.endpoint.back() == '/') {
    address_.endpoint.pop_back();
  }
}

Retry HubSession::start_retry() {
  return Retry(clock_, Backoff(patience_.retry, patience_.seed + calls_++), patience_.deadline);
}

HttpRequest HubSession::request(std::string method, const std::string& path) const {
  HttpRequest request;
  request.method = std::move(method);
  request.url = address_.endpoint + path;
  request.total_timeout = patience_.request_timeout;
  request.stall_timeout = seconds(0);  // a server that thinks is silent: only the total counts
  if (!address_.token.empty()) {
    request.headers.push_back({"Authorization", "Bearer " + address_.token.reveal()});
  }
  return request;
}

HttpRequest HubSession::json_request(std::string method, const std::string& path,
                                     const json& body) const {
  HttpRequest made = request(std::move(method), path);
  made.headers.push_back({"Content-Type", "application/json"});
  made.body = json_line(body);
  return made;
}

Result<HttpResponse> HubSession::send(HttpRequest request, Retry& retry, Repeat repeat) {
  const seconds own_timeout = request.total_timeout;
  for (;;) {
    const seconds left = std::chrono::ceil<seconds>(retry.left());
    request.total_timeout = std::max(seconds(1), std::min(own_timeout, left));
    Result<HttpResponse> response = http_.send(request);
    if (repeat == Repeat::never) return response;
    // A body that was cut short is as transient as a connection that was not made.
    const bool transient = response ? is_transient_status(response->status)
                                    : is_transient(response.error(), true) ||
                                          response.error().kind == ErrorKind::corrupt;
    if (!transient) return response;
    if (!retry.wait(response ? asked_wait(*response) : std::nullopt)) return response;
  }
}

Result<HttpResponse> HubSession::fetch(HttpRequest request, Retry& retry) {
  const std::string doing =
      request.method + " " + request.url.substr(0, request.url.find_first_of("?#"));
  Result<HttpResponse> response = send(std::move(request), retry);
  if (response && (response->status < 200 || response->status > 299)) {
    return hub_error(doing, *response);
  }
  return response;
}

Result<json> HubSession::fetch_json(HttpRequest request, Retry& retry) {
  const Result<HttpResponse> response = fetch(std::move(request), retry);
  if (!response) return response.error();
  return parse_json(response->body, "answer of the hub");
}

}  // namespace mayfly
