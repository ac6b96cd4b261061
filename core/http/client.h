// HTTP as one function. A status of 400 and over is an answer, not an error: the provider or store
// says which kind it means.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace mayfly {

struct HttpHeader {
  std::string name, value;
};

// Header names do not know case.
bool same_header_name(std::string_view a, std::string_view b);

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<HttpHeader> headers;  // Authorization is never sent on to another host
  std::string body;
  // Instead of `body`: these bytes of a file, streamed.
  std::filesystem::path body_file;
  std::int64_t body_offset = 0;
  std::int64_t body_size = -1;  // -1: to the end
  // Instead of HttpResponse::body: the answer goes to this file, from its present end if the server
  // answers 206.
  std::filesystem::path to_file;
  // Called a few times a second during the transfer, from the sending thread: with the bytes of
  // `to_file`, else with those sent of the body.
  std::function<void(std::int64_t)> progress;
  int max_redirects = 0;
  std::chrono::seconds connect_timeout{10};
  std::chrono::seconds total_timeout{60};
  // Fewer than 1 KB/s for this long is a stall. 0: only total_timeout.
  std::chrono::seconds stall_timeout{30};
  std::int64_t max_body_bytes = 64 << 20;  // of an answer kept in memory
  std::int64_t max_file_bytes = -1;        // of `to_file` when done; -1: no limit
};

struct HttpResponse {
  int status = 0;
  std::vector<HttpHeader> headers;
  std::string body;
  std::int64_t body_bytes = 0;  // also when it went to a file

  // The first header of that name, case-insensitive; "" if there is none.
  std::string_view header(std::string_view name) const;
};

// Whether the answer is to be looked for elsewhere: at its Location.
inline bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Errors: unreachable (nothing can have happened: not sent, or a GET or HEAD), outcome_unknown
// (sent, and the answer was lost), corrupt (the answer to a GET is shorter than announced, or over
// a size limit), refused (the certificate is not trusted, a redirect leads where we do not follow),
// no_space, usage (not an http or https address).
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual Result<HttpResponse> send(const HttpRequest& request) = 0;
};

}  // namespace mayfly
