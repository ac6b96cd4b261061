// Our HTTP client on a network that leads some calls astray: a name that resolves to nothing, or to
// somebody else's machine.
#pragma once

#include <optional>
#include <string>

#include <fnmatch.h>

#include "core/http/client.h"

namespace mayfly {

struct Reroute {
  std::string method;
  std::string path;    // a shell pattern
  std::string origin;  // where the call goes instead: "https://localhost:1234"
  int skip = 0;        // so many pass first
  int times = 1;
};

class ReroutedHttp final : public HttpClient {
 public:
  explicit ReroutedHttp(HttpClient& http) : http_(http) {}

  Result<HttpResponse> send(const HttpRequest& request) override {
    HttpRequest sent = request;
    const auto start = sent.url.find('/', sent.url.find("://") + 3);
    const std::string path = sent.url.substr(start, sent.url.find('?') - start);
    if (reroute && reroute->times > 0 && reroute->method == request.method &&
        ::fnmatch(reroute->path.c_str(), path.c_str(), 0) == 0) {
      if (reroute->skip > 0) {
        --reroute->skip;
      } else {
        --reroute->times;
        ++fired;
        sent.url = reroute->origin + sent.url.substr(start);
      }
    }
    return http_.send(sent);
  }

  std::optional<Reroute> reroute;
  int fired = 0;

 private:
  HttpClient& http_;
};

}  // namespace mayfly
