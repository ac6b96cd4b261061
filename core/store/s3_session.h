// Talking to one S3 bucket, or to a server that speaks like S3: signs, retries what is transient,
// turns refusals into errors with the server's own words. What the objects mean is above this
// (s3.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "core/clock.h"
#include "core/http/client.h"
#include "core/http/retry.h"
#include "core/http/sigv4.h"
#include "core/result.h"

namespace mayfly {

// Addressed by path (endpoint/bucket/key): that form every server knows, and bucket names with dots
// do not break its certificate.
struct S3Place {
  std::string endpoint;  // "https://s3.eu-central-1.amazonaws.com", without a slash at the end
  std::string region;
  std::string bucket;
  std::string prefix;  // of all keys: "" or with a slash at its end
};

// AWS's own address for a region.
std::string aws_s3_endpoint(const std::string& region);

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN as `variable` gives them.
AwsCredentials aws_credentials_from(const std::function<std::string(const char*)>& variable);

struct S3Patience {
  RetryPolicy retry = {};
  std::chrono::seconds deadline{600};  // of one call of Store, with all its requests
  std::chrono::seconds request_timeout{60};
  std::chrono::seconds stall_timeout{30};  // of the transfer of a part
  std::int64_t part_bytes = 16 << 20;      // larger files go in parts of this; S3 wants 5 MiB
  std::uint64_t seed = 1;                  // of the jitter
};

class S3Session {
 public:
  // `http` and `clock` must outlive the session.
  S3Session(HttpClient& http, Clock& clock, S3Place place, AwsCredentials credentials,
            S3Patience patience = {});

  const S3Place& place() const {
    return place_;
  }
  const S3Patience& patience() const {
    return patience_;
  }
  Retry start_retry();

  // A request for an object; `key` is what follows the prefix, "" means the bucket itself. `query`
  // is percent-encoded.
  HttpRequest request(std::string method, const std::string& key, const std::string& query) const;

  // Signs and sends until the answer is not transient or the budget is gone; each try is signed
  // anew. An answer of any other status is returned as it is.
  Result<HttpResponse> send(HttpRequest request, std::string payload_sha256, Retry& retry);
  // The same; an answer that is not 2xx, or that is an <Error> with status 200 (as
  // CompleteMultipartUpload may give), becomes an error.
  Result<HttpResponse> fetch(HttpRequest request, std::string payload_sha256, Retry& retry);

 private:
  HttpClient& http_;
  Clock& clock_;
  S3Place place_;
  AwsCredentials credentials_;
  S3Patience patience_;
  std::uint64_t calls_ = 0;
};

// The error for an answer that is no success. `doing` says what was asked.
Error s3_error(const std::string& doing, const HttpResponse& response);

}  // namespace mayfly
