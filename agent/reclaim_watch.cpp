#include "agent/reclaim_watch.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "core/http/curl_client.h"
#include "core/log.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr auto kNoticeEvery = 5s;
constexpr auto kAnswerWithin = 2s;
constexpr const char* kTokenSeconds = "21600";  // the longest there is

}  // namespace

std::string metadata_service(const std::string& provider) {
  if (const char* const set = std::getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")) {
    std::string service(set);
    while (!service.empty() && service.back() == '/') service.pop_back();
    return service;
  }
  return provider == "aws" ? "http://169.254.169.254" : "";
}

ReclaimNotice::ReclaimNotice(HttpClient& http, std::string service)
    : http_(http), service_(std::move(service)) {}

bool ReclaimNotice::make_token() {
  HttpRequest request;
  request.method = "PUT";
  request.url = service_ + "/latest/api/token";
  request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds}};
  request.connect_timeout = kAnswerWithin;
  request.total_timeout = kAnswerWithin;
  const Result<HttpResponse> made = http_.send(request);
  if (!made || made->status != 200) return false;
  token_ = made->body;
  return !token_.empty();
}

Result<HttpResponse> ReclaimNotice::get() {
  HttpRequest request;
  request.url = service_ + "/latest/meta-data/spot/instance-action";
  request.headers = {{"X-aws-ec2-metadata-token", token_}};
  request.connect_timeout = kAnswerWithin;
  request.total_timeout = kAnswerWithin;
  return http_.send(request);
}

ReclaimNotice::Answer ReclaimNotice::ask() {
  if (token_.empty() && !make_token()) return Answer::unknown;
  Result<HttpResponse> answer = get();
  if (answer && answer->status == 401) {  // the token's time is over
    if (!make_token()) return Answer::unknown;
    answer = get();
  }
  if (!answer) return Answer::unknown;
  // Terminate, stop or hibernate: in each case the machine is gone in two minutes.
  if (answer->status == 200) return Answer::notice;
  return answer->status == 404 ? Answer::none : Answer::unknown;
}

struct ReclaimWatch::Shared {
  mutable std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool noticed = false;
  bool over = false;
};

ReclaimWatch::ReclaimWatch(const std::string& service) : shared_(std::make_shared<Shared>()) {
  std::thread([shared = shared_, service] {
    CurlHttpClient http;
    ReclaimNotice notice(http, service);
    bool silent = false;
    for (;;) {
      const ReclaimNotice::Answer answer = notice.ask();
      const bool unknown = answer == ReclaimNotice::Answer::unknown;
      if (unknown && !silent) log_warn("no word from " + service + " whether this machine stays");
      silent = unknown;
      std::unique_lock lock(shared->mutex);
      shared->noticed = shared->noticed || answer == ReclaimNotice::Answer::notice;
      if (shared->noticed) return;
      if (shared->changed.wait_for(lock, kNoticeEvery, [&] { return shared->over; })) return;
    }
  }).detach();
}

ReclaimWatch::~ReclaimWatch() {
  const std::lock_guard lock(shared_->mutex);
  shared_->over = true;
  shared_->changed.notify_all();
}

bool ReclaimWatch::noticed() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->noticed;
}

}  // namespace mayfly
