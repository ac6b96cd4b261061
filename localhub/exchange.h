// One request to the stand-in hub and its answer, apart from the HTTP library: what handlers are
// functions of. Only server.cpp knows that library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace mayfly::localhub {

struct Header {
  std::string name, value;
};

struct HubRequest {
  std::string method;
  std::string path;                   // as sent, without the query
  std::vector<std::string> segments;  // of the path, each decoded: "ckpt%2Fone" is one
  std::multimap<std::string, std::string> query;
  std::vector<Header> headers;
  std::string body;
  std::filesystem::path body_file;  // instead of `body`, for large uploads; the handler may move it
  std::string body_sha256;          // of body_file

  std::string_view header(std::string_view name) const;  // "" if there is none
  std::string parameter(const std::string& name) const;  // of the query, the first; "" if none
  // "true", "1", ... in any case, as the Python clients write them.
  bool is_true(const std::string& name) const;
};

struct HubAnswer {
  int status = 200;
  std::string content_type = "application/json; charset=utf-8";
  std::vector<Header> headers = {};
  std::string body = {};
  // Instead of `body`: `length` bytes of this file from `offset` on.
  std::filesystem::path file = {};
  std::int64_t offset = 0;
  std::int64_t length = 0;

  std::string_view header(std::string_view name) const;
};

HubAnswer json_answer(const nlohmann::json& body, int status = 200);
// A refusal as the hub writes it: {"error": words}, X-Error-Message, and X-Error-Code where there
// is one ("RepoNotFound", "RevisionNotFound", "EntryNotFound").
HubAnswer error_answer(int status, const std::string& words, const std::string& code = "");

// Splits a request target at '/' and '?', and decodes the pieces. False: badly encoded.
bool read_target(std::string_view target, HubRequest& request);
// "a=1&b=2", decoded; "+" is a space.
std::multimap<std::string, std::string> read_form(std::string_view text);

}  // namespace mayfly::localhub
