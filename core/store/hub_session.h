// Talking to one hub with one token: sends, retries what is transient, and turns refusals into
// errors with the server's own words. What the words mean for repositories and files is written
// above this (hub.h, hub_upload.h, hub_download.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/http/retry.h"
#include "core/result.h"
#include "core/secret.h"

namespace mayfly {

struct HubAddress {
  std::string endpoint = "https://huggingface.co";  // without a slash at the end
  Secret token;                                     // empty: anonymous
};

// The endpoint and token that the environment names, in the order of huggingface_hub 2.4.0:
// HF_ENDPOINT; HF_TOKEN, HUGGING_FACE_HUB_TOKEN, the file HF_TOKEN_PATH (default $HF_HOME/token,
// HF_HOME default $XDG_CACHE_HOME/huggingface or ~/.cache/huggingface). `variable` is asked for
// each name and returns "" where there is none.
HubAddress hub_address_from(const std::function<std::string(const char*)>& variable);

struct HubPatience {
  RetryPolicy retry = {};
  std::chrono::seconds deadline{600};        // of one call of Store, with all its requests
  std::chrono::seconds request_timeout{90};  // of one answer; a commit may take 60 s
  std::chrono::seconds stall_timeout{30};    // of the transfer of a file
  std::uint64_t seed = 1;                    // of the jitter
};

// What may be done about an answer that is no success.
enum class Repeat {
  freely,  // asking again changes nothing: reads, uploads by hash, creating what may exist
  never,   // the first answer, whatever it is, goes to the caller
};

class HubSession {
 public:
  // All three must outlive the session.
  HubSession(HttpClient& http, Clock& clock, HubAddress address, HubPatience patience = {});

  const std::string& endpoint() const {
    return address_.endpoint;
  }
  const HubPatience& patience() const {
    return patience_;
  }
  // A budget of time for one call of the caller's.
  Retry start_retry();

  // A request to a path of the hub ("/api/..."), with the token.
  HttpRequest request(std::string method, const std::string& path) const;
  // The same with a JSON body.
  HttpRequest json_request(std::string method, const std::string& path,
                           const nlohmann::json& body) const;

  // Sends until the answer is not transient, or the budget is gone. An answer of any status but a
  // transient one is returned as it is.
  Result<HttpResponse> send(HttpRequest request, Retry& retry, Repeat repeat = Repeat::freely);
  // The same; an answer that is not 2xx becomes an error.
  Result<HttpResponse> fetch(HttpRequest request, Retry& retry);
  Result<nlohmann::json> fetch_json(HttpRequest request, Retry& retry);

 private:
  HttpClient& http_;
  Clock& clock_;
  HubAddress address_;
  HubPatience patience_;
  std::uint64_t calls_ = 0;
};

// What the server says is wrong: header X-Error-Message, the usual JSON forms, or short plain text;
// "" for HTML pages and nothing.
std::string server_words(const HttpResponse& response);

// The error for an answer that is not a success. `doing` says what was asked.
Error hub_error(const std::string& doing, const HttpResponse& response);

}  // namespace mayfly
