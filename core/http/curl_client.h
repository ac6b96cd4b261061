// HttpClient over libcurl; the only code that includes it.
//
// Every transfer has three deadlines (connecting, stalling, in all), because none of them alone
// ends every hang: a server that sends two bytes a second defeats a low-speed limit of one. TLS is
// always verified. Proxies come from the usual variables (https_proxy, no_proxy, ...), except for
// loopback addresses, which are always reached directly. HTTP/1.1 only: one transfer at a time has
// nothing to gain from HTTP/2.
//
// A POST always gets a fresh connection: on a reused one libcurl sends a request a second time, by
// itself, when the connection closes without an answer, and then a commit is made twice.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/http/client.h"

namespace mayfly {

struct CurlOptions {
  // A file of certificates to trust instead of the system's; "" : the system's.
  std::string ca_file = {};
  std::string user_agent = {};  // "" : mayfly/<version>
  // When it becomes true, the running transfer ends within a second, and so does every later one.
  // Must outlive the client.
  const std::atomic<bool>* stop = nullptr;
};

// The certificates file that SSL_CERT_FILE or CURL_CA_BUNDLE name, as other tools read them.
CurlOptions curl_options_from_environment();

// One thread at a time. Connections are kept for reuse until destruction. Descriptors are not
// inherited by child processes.
class CurlHttpClient final : public HttpClient {
 public:
  explicit CurlHttpClient(CurlOptions options = {});
  ~CurlHttpClient() override;

  Result<HttpResponse> send(const HttpRequest& request) override;

 private:
  struct Connections;
  CurlOptions options_;
  std::unique_ptr<Connections> connections_;
};

}  // namespace mayfly
