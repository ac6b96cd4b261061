#include "agent/wheel_download.h"

#include <algorithm>
#include <optional>
#include <random>
#include <system_error>

#include "core/http/retry.h"
#include "core/log.h"
#include "core/sha256.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

// What an earlier process left may be wrong, and so may what arrives now, once.
constexpr int kMostWrongHashes = 3;
// An attempt that brought less was none: a server that drips must not be asked for ever.
constexpr std::int64_t kProgressBytes = 64 << 10;

std::int64_t bytes_of(const fs::path& path) {
  std::error_code code;
  const auto size = fs::file_size(path, code);
  return code ? 0 : static_cast<std::int64_t>(size);
}

bool is_allowed(const std::string& url) {
  return url.starts_with("https://") || url.starts_with("http://127.0.0.1:");
}

Error server_error(const PlannedWheel& wheel, int status) {
  const ErrorKind kind = is_transient_status(status)      ? ErrorKind::unreachable
                         : status == 404 || status == 410 ? ErrorKind::not_found
                                                          : ErrorKind::refused;
  return {kind, wheel.url + " answers with status " + std::to_string(status)};
}

class WheelDownload {
 public:
  WheelDownload(const PlannedWheel& wheel, const fs::path& target, HttpClient& http, Clock& clock)
      : wheel_(wheel), target_(target), http_(http), clock_(clock) {}

  // Until the file has all its bytes. Progress renews the patience.
  Status fetch_bytes(const std::function<void(std::int64_t)>& progress) {
    std::error_code ignored;
    if (bytes_of(target_) > wheel_.bytes) fs::remove(target_, ignored);
    std::optional<Retry> retry(fresh_retry());
    // Only a longer file than ever is progress: one that the server has too short would be fetched
    // from its start for ever.
    for (std::int64_t longest = bytes_of(target_); longest < wheel_.bytes;) {
      const Result<HttpResponse> answer = ask(progress);
      const std::int64_t after = bytes_of(target_);
      if (after >= wheel_.bytes) break;
      if (after - longest >= kProgressBytes) retry.emplace(fresh_retry());
      longest = std::max(longest, after);
      const bool cut_short = answer && (answer->status == 200 || answer->status == 206);
      // What we had can be no part of the file.
      const bool wrong_range = answer && answer->status == 416;
      if (wrong_range) fs::remove(target_, ignored);
      const bool again = cut_short || wrong_range ||
                         (answer ? is_transient_status(answer->status)
                                 : is_transient(answer.error(), true) ||
                                       answer.error().kind == ErrorKind::corrupt);
      if (again && retry->wait(answer ? asked_wait(*answer) : std::nullopt)) continue;
      if (!answer) return answer.error();
      if (cut_short) return Error{ErrorKind::corrupt, wheel_.url + " is shorter than it should be"};
      return server_error(wheel_, answer->status);
    }
    return Unit{};
  }

 private:
  Retry fresh_retry() {
    return Retry(clock_, Backoff({}, std::random_device{}()), kWheelPatience);
  }
  Result<HttpResponse> ask(const std::function<void(std::int64_t)>& progress) {
    HttpRequest request;
    request.url = wheel_.url;
    request.to_file = target_;
    request.max_file_bytes = wheel_.bytes;
    request.max_redirects = 3;  // a mirror's own storage; the hash says whether it is the file
    request.total_timeout = 1h;
    request.progress = progress;
    return http_.send(request);
  }

  const PlannedWheel& wheel_;
  const fs::path& target_;
  HttpClient& http_;
  Clock& clock_;
};

}  // namespace

Status download_wheel(const PlannedWheel& wheel, const fs::path& target, HttpClient& http,
                      Clock& clock, const std::function<void(std::int64_t)>& progress) {
  const std::string doing = "downloading " + wheel.name;
  if (!is_allowed(wheel.url)) {
    return Error{ErrorKind::refused, doing + ": not an https address: " + wheel.url};
  }
  WheelDownload download(wheel, target, http, clock);
  for (int attempt = 0; attempt < kMostWrongHashes; ++attempt) {
    const Status complete = download.fetch_bytes(progress);
    if (!complete) return while_doing(doing, complete.error());
    const Result<std::string> hash = sha256_file(target);
    if (!hash) return while_doing(doing, hash.error());
    if (*hash == wheel.sha256) return Unit{};
    log_warn(wheel.name + " does not have its SHA-256, fetching it again");
    std::error_code ignored;
    fs::remove(target, ignored);
  }
  return Error{ErrorKind::corrupt,
               doing + ": what " + wheel.url + " gives does not have the SHA-256 of the plan"};
}

}  // namespace mayfly
