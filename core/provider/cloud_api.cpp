#include "core/provider/cloud_api.h"

#include <algorithm>

#include "core/http/retry.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kNamePrefix = "mf-";

bool is_good(const HttpResponse& response) {
  return response.status >= 200 && response.status < 300;
}

}  // namespace

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401:
      return ErrorKind::unauthorized;
    case 403:
      return ErrorKind::refused;
    case 404:
    case 410:
      return ErrorKind::not_found;
    case 429:
      return ErrorKind::rate_limited;
    case 408:
      return ErrorKind::outcome_unknown;
    default:
      return status >= 500 ? ErrorKind::outcome_unknown : ErrorKind::refused;
  }
}

void CloudApi::keep_pace(bool creates) {
  SteadyTime go = clock_.steady_now();
  if (last_) go = std::max(go, *last_ + parts_.pace.gap);
  if (creates && last_create_) go = std::max(go, *last_create_ + parts_.pace.create_gap);
  const auto wait = go - clock_.steady_now();
  if (wait.count() > 0) clock_.sleep_for(wait);
  last_ = clock_.steady_now();
  if (creates) last_create_ = last_;
}

Result<HttpResponse> CloudApi::send(const std::string& method, const std::string& path,
                                    const std::string& body,
                                    const std::vector<HttpHeader>& headers) {
  HttpRequest request;
  request.method = method;
  request.url = parts_.endpoint + path;
  request.headers = headers;
  request.headers.push_back({"Accept", "application/json"});
  if (!body.empty()) {
    const bool form = std::any_of(headers.begin(), headers.end(), [](const HttpHeader& header) {
      return same_header_name(header.name, "Content-Type");
    });
    if (!form) request.headers.push_back({"Content-Type", "application/json"});
    request.body = body;
  }
  request.connect_timeout = parts_.patience.connect;
  request.total_timeout = parts_.patience.total;
  request.stall_timeout = parts_.patience.total;
  request.max_body_bytes = parts_.patience.largest_answer;
  request.max_redirects = 0;
  if (parts_.authorize) parts_.authorize(request);
  return http_->send(request);
}

Result<std::string> CloudApi::until_read(const std::string& method, const std::string& path,
                                         const std::string& body,
                                         const std::vector<HttpHeader>& headers) {
  const std::string doing = "asking " + parts_.vendor + ": " + method + " " + path;
  constexpr std::uint64_t kSeed = 1;  // one laptop asks one vendor: nothing to come back apart from
  Retry retry(clock_, Backoff(RetryPolicy{}, kSeed), parts_.patience.read_within);
  for (;;) {
    keep_pace(false);
    const Result<HttpResponse> response = send(method, path, body, headers);
    if (response && is_good(*response)) return response->body;
    std::optional<std::chrono::seconds> asked;
    Error error{ErrorKind::internal, ""};
    if (!response) {
      error = response.error();
    } else if (response->status < 400) {
      error = {ErrorKind::refused, "the answer leads to another address, which is not followed"};
    } else {
      error = parts_.meaning(*response);
      asked = asked_wait(*response);
    }
    // Nothing is lost when this happened after all.
    if (error.kind == ErrorKind::outcome_unknown) error.kind = ErrorKind::unreachable;
    if (!is_transient(error, true) || !retry.wait(asked)) return while_doing(doing, error);
  }
}

Result<std::string> CloudApi::read(const std::string& path) {
  return until_read("GET", path, "", {});
}

Result<std::string> CloudApi::repeat(const std::string& method, const std::string& path,
                                     const std::string& body,
                                     const std::vector<HttpHeader>& headers) {
  return until_read(method, path, body, headers);
}

ChangeAnswer CloudApi::change(const std::string& path, const std::string& body,
                              const std::vector<HttpHeader>& headers) {
  const std::string doing = "asking " + parts_.vendor + ": POST " + path;
  keep_pace(true);
  Result<HttpResponse> response = send("POST", path, body, headers);
  if (!response) {
    Error error = response.error();
    // The answer came, and is not one that can be read: what was asked may have been done.
    if (error.kind == ErrorKind::corrupt) error.kind = ErrorKind::outcome_unknown;
    return {while_doing(doing, error)};
  }
  if (is_good(*response)) return {std::move(response)};
  if (response->status < 400) {
    return {Error{ErrorKind::refused,
                  doing + ": the answer leads to another address, which is not followed"}};
  }
  return {while_doing(doing, parts_.meaning(*response)), asked_wait(*response), response->body};
}

CreateOutcome failed_outcome(const Error& error,
                             std::optional<std::chrono::seconds> ask_again_after) {
  CreateOutcome outcome{CreateOutcome::Kind::refused, {}, error};
  if (error.kind == ErrorKind::outcome_unknown || error.kind == ErrorKind::corrupt) {
    outcome.kind = CreateOutcome::Kind::unknown;
    outcome.error.kind = ErrorKind::outcome_unknown;
  }
  outcome.ask_again_after = ask_again_after;
  return outcome;
}

CreateOutcome made_outcome(InstanceId id) {
  return {CreateOutcome::Kind::made, std::move(id), Error{ErrorKind::internal, ""}};
}

std::string machine_name(const InstanceSpec& spec) {
  return std::string(kNamePrefix) + spec.run_id + "-" + std::to_string(spec.attempt);
}

std::string run_of_name(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return {};
  name.remove_prefix(kNamePrefix.size());
  const auto dash = name.rfind('-');
  if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size()) return {};
  const std::string_view run = name.substr(0, dash);
  const std::string_view attempt = name.substr(dash + 1);
  const bool ours = run.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
                    attempt.find_first_not_of("0123456789") == std::string_view::npos;
  return ours ? std::string(run) : std::string();
}

std::string excerpt(std::string_view body) {
  constexpr std::size_t kMost = 200;
  std::string text(body.substr(0, std::min(kMost, body.find('\n'))));
  for (char& letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20) letter = ' ';
  }
  return text;
}

std::string key_material(std::string_view public_key) {
  const auto first = public_key.find(' ');
  if (first == std::string_view::npos) return std::string(public_key);
  const std::string_view rest = public_key.substr(first + 1);
  return std::string(rest.substr(0, rest.find_first_of(" \r\n")));
}

}  // namespace mayfly
