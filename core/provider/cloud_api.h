// Requests to a vendor's API, the part that all vendors share: the key goes in, limits of size and
// time hold, reads are sent again while the vendor is busy, and a change is told from one that may
// or may not have happened.
//
// Redirects are never followed: the key is meant for one host. Keys stand in headers only, so no
// error or log can show one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/secret.h"

namespace mayfly {

// Where a vendor is and what lets us in; of AWS `key` is the secret key.
struct CloudAccess {
  std::string endpoint;  // without a slash at its end
  Secret key;
  std::string key_id = {};    // AWS only
  Secret session_token = {};  // AWS only, of temporary credentials
  std::string regions = {};   // AWS only: which to look at, with commas; one at least
};

struct ApiPatience {
  std::chrono::seconds connect{10};
  std::chrono::seconds total{30};          // of one answer
  std::chrono::seconds read_within{60};    // of a read with all its repetitions
  std::int64_t largest_answer = 16 << 20;  // the longest list of types seen is under 1 MB
};

// How closely requests may follow each other; the vendor's published limit.
struct ApiPace {
  std::chrono::milliseconds gap{0};         // between any two
  std::chrono::milliseconds create_gap{0};  // between two that create
};

// The answer to a change, and how long the vendor asks to be left alone when it is too busy.
struct ChangeAnswer {
  Result<HttpResponse> response;
  std::optional<std::chrono::seconds> ask_again_after = {};
  std::string body = {};  // of a refusal, for what its kind does not say
};

class CloudApi {
 public:
  struct Parts {
    std::string vendor;  // as messages name it: "Shadeform"
    std::string endpoint;
    // Puts the key in; last before sending.
    std::function<void(HttpRequest&)> authorize;
    // What an answer of 400 and over means, by its status and body. For a change that may have
    // happened nevertheless: outcome_unknown.
    std::function<Error(const HttpResponse&)> meaning;
    ApiPace pace = {};
    ApiPatience patience = {};
  };
  // The clock outlives it.
  CloudApi(std::unique_ptr<HttpClient> http, Clock& clock, Parts parts)
      : http_(std::move(http)), clock_(clock), parts_(std::move(parts)) {}

  // The body of a good answer. Sent again while it is refused as busy or does not arrive.
  // Errors: unauthorized, refused, not_found, rate_limited, unreachable, corrupt (no JSON, say).
  Result<std::string> read(const std::string& path);
  // A change that may be made twice without harm, sent again like a read. Errors: the same.
  Result<std::string> repeat(const std::string& method, const std::string& path,
                             const std::string& body, const std::vector<HttpHeader>& headers = {});
  // A change that must be made once: sent once. Errors: the same; outcome_unknown when it may have
  // been made.
  ChangeAnswer change(const std::string& path, const std::string& body,
                      const std::vector<HttpHeader>& headers = {});

  const std::string& endpoint() const {
    return parts_.endpoint;
  }

 private:
  Result<HttpResponse> send(const std::string& method, const std::string& path,
                            const std::string& body, const std::vector<HttpHeader>& headers);
  void keep_pace(bool creates);
  Result<std::string> until_read(const std::string& method, const std::string& path,
                                 const std::string& body, const std::vector<HttpHeader>& headers);

  std::unique_ptr<HttpClient> http_;
  Clock& clock_;
  Parts parts_;
  std::optional<SteadyTime> last_;
  std::optional<SteadyTime> last_create_;
};

// What a create call came to that was not answered well, from how it failed.
CreateOutcome failed_outcome(const Error& error,
                             std::optional<std::chrono::seconds> ask_again_after = {});
CreateOutcome made_outcome(InstanceId id);

// The meaning of a status where the body says nothing more.
ErrorKind kind_of_status(int status);

// "mf-<run id>-<attempt>": how our machines are called where people see them. At most 60 characters
// of letters, digits and dashes for the run ids there are.
std::string machine_name(const InstanceSpec& spec);
// The run id, hex digits, in such a name; "" if it is none of ours.
std::string run_of_name(std::string_view name);

// The first line of a body, for messages; at most 200 characters.
std::string excerpt(std::string_view body);

// Letters and digits of a key's material, without type and comment; what makes two keys the same.
std::string key_material(std::string_view public_key);

}  // namespace mayfly
