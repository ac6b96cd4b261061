#include "core/store/s3_session.h"

#include <algorithm>

#include "core/http/xml_text.h"
#include "core/log.h"
#include "core/url.h"

namespace mayfly {

using std::chrono::seconds;

namespace {

bool is_success(const HttpResponse& response) {
  return response.status >= 200 && response.status <= 299;
}

bool is_error_document(const HttpResponse& response) {
  return response.body.find("<Error>") != std::string::npos;
}

// A path with its slashes.
std::string encode_key(std::string_view key) {
  std::string encoded;
  while (!key.empty()) {
    const auto part = key.substr(0, key.find('/'));
    encoded += percent_encode(part);
    key.remove_prefix(part.size());
    if (key.empty()) break;
    encoded += '/';
    key.remove_prefix(1);
  }
  return encoded;
}

// S3 says in words what its status leaves open. Source: "Error responses", S3 API reference.
ErrorKind kind_of(int status, const std::string& code) {
  if (code == "BadDigest" || code == "XAmzContentSHA256Mismatch" || code == "InvalidDigest") {
    return ErrorKind::corrupt;  // what arrived is not what was sent
  }
  if (code == "InternalError" || code == "SlowDown") return ErrorKind::unreachable;
  if (status == 401 || status == 403) return ErrorKind::unauthorized;
  if (status == 404) return ErrorKind::not_found;
  if (status == 429) return ErrorKind::rate_limited;
  return status >= 500 ? ErrorKind::unreachable : ErrorKind::refused;
}

std::string hint_of(int status, const std::string& code) {
  if (code == "RequestTimeTooSkewed") return "this machine's clock is wrong";
  if (code == "ExpiredToken") return "the session token has expired: give fresh credentials";
  if (code == "NoSuchBucket") return "make the bucket first, or correct storage.s3_bucket";
  if (status == 301 || status == 307 || code == "AuthorizationHeaderMalformed") {
    return "the bucket is in another region: correct storage.s3_region";
  }
  if (status == 401 || status == 403) {
    return "the key needs s3:PutObject, s3:GetObject, s3:ListBucket and "
           "s3:AbortMultipartUpload on the bucket";
  }
  return "";
}

}  // namespace

std::string aws_s3_endpoint(const std::string& region) {
  const std::string end = region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com";
  return "https://s3." + region + end;
}

AwsCredentials aws_credentials_from(const std::function<std::string(const char*)>& variable) {
  return {variable("AWS_ACCESS_KEY_ID"), Secret(variable("AWS_SECRET_ACCESS_KEY")),
          Secret(variable("AWS_SESSION_TOKEN"))};
}

Error s3_error(const std::string& doing, const HttpResponse& response) {
  const std::string code = xml_text(response.body, "Code");
  const std::string words = mask_tokens(xml_text(response.body, "Message")).substr(0, 300);
  std::string message = doing + ": S3 answered " + std::to_string(response.status);
  if (!code.empty()) message += " " + code.substr(0, 100);
  if (!words.empty()) message += ": " + words;
  return Error{kind_of(response.status, code), message, hint_of(response.status, code)};
}

S3Session::S3Session(HttpClient& http, Clock& clock, S3Place place, AwsCredentials credentials,
                     S3Patience patience)
    : http_(http),
      clock_(clock),
      place_(std::move(place)),
      credentials_(std::move(credentials)),
      patience_(patience) {
  while (!place_.endpoint.empty() && place_.endpoint.back() == '/') place_.endpoint.pop_back();
  if (!place_.prefix.empty() && place_.prefix.back() != '/') place_.prefix += '/';
}

Retry S3Session::start_retry() {
  return Retry(clock_, Backoff(patience_.retry, patience_.seed + calls_++), patience_.deadline);
}

HttpRequest S3Session::request(std::string method, const std::string& key,
                               const std::string& query) const {
  HttpRequest made;
  made.method = std::move(method);
  made.url = place_.endpoint + "/" + percent_encode(place_.bucket);
  if (!key.empty()) made.url += "/" + encode_key(place_.prefix + key);
  if (!query.empty()) made.url += "?" + query;
  made.total_timeout = patience_.request_timeout;
  made.stall_timeout = seconds(0);  // a server that thinks is silent: only the total counts
  return made;
}

Result<HttpResponse> S3Session::send(HttpRequest request, std::string payload_sha256,
                                     Retry& retry) {
  const seconds own_timeout = request.total_timeout;
  for (;;) {
    const seconds left = std::chrono::ceil<seconds>(retry.left());
    request.total_timeout = std::max(seconds(1), std::min(own_timeout, left));
    sign_v4(request, credentials_, {place_.region, "s3"}, clock_.now(), payload_sha256);
    Result<HttpResponse> response = http_.send(request);
    // Every request here may be repeated: the same bytes under the same key.
    const bool transient = response ? is_transient_status(response->status) ||
                                          (is_error_document(*response) &&
                                           s3_error("", *response).kind == ErrorKind::unreachable)
                                    : is_transient(response.error(), true) ||
                                          response.error().kind == ErrorKind::corrupt;
    if (!transient) return response;
    if (!retry.wait(response ? asked_wait(*response) : std::nullopt)) return response;
  }
}

Result<HttpResponse> S3Session::fetch(HttpRequest request, std::string payload_sha256,
                                      Retry& retry) {
  const std::string doing =
      request.method + " " + request.url.substr(0, request.url.find_first_of("?#"));
  Result<HttpResponse> response = send(std::move(request), std::move(payload_sha256), retry);
  if (response && (!is_success(*response) || is_error_document(*response))) {
    return s3_error(doing, *response);
  }
  return response;
}

}  // namespace mayfly
