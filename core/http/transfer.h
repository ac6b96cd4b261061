// One request on the wire and its answer: gives the body's bytes out, takes the answer's in, and
// keeps every limit. Knows files and sizes; libcurl, whose callbacks call it, is in
// curl_client.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/http/client.h"

namespace mayfly {

class Transfer {
 public:
  Transfer(const HttpRequest& request, const std::atomic<bool>* stop)
      : request_(request), stop_(stop) {}
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Opens what is uploaded, and looks how much of `to_file` is there.
  Status open_files();
  // Makes the file of an answer without a body too.
  Status finish_files() {
    return into_file() && target_ < 0 ? open_target() : Status(Unit{});
  }

  bool has_body() const {
    return !request_.body_file.empty() || !request_.body.empty() || request_.method == "POST" ||
           request_.method == "PUT" || request_.method == "PATCH";
  }
  std::int64_t body_size() const {
    return body_size_;
  }
  std::int64_t resume_at() const {
    return resume_at_;
  }
  // All of the body was handed over: only then can the server have acted.
  bool body_was_read() const {
    return body_sent_ >= body_size_;
  }
  bool stopped() const {
    return stop_ != nullptr && stop_->load();
  }
  void tell_progress() const {
    if (!request_.progress) return;
    request_.progress(request_.to_file.empty() ? body_sent_ : file_size_);
  }
  HttpResponse& response() {
    return response_;
  }
  // Why one of the callbacks ended the transfer; internal without text: none did.
  const Error& failure() const {
    return failure_;
  }

  // The next bytes of the body; nullopt: they cannot be read.
  std::optional<std::size_t> give(char* buffer, std::size_t room);
  bool rewind(std::int64_t offset) {
    body_sent_ = offset;
    return true;
  }
  // A piece of the answer's body. False: enough.
  bool take(std::string_view bytes);
  // A line of the answer's head.
  void take_header(std::string_view line);

 private:
  bool into_file() const {
    return !request_.to_file.empty() && (response_.status == 200 || response_.status == 206);
  }
  Status open_target();
  bool store(std::string_view bytes);

  const HttpRequest& request_;
  const std::atomic<bool>* stop_;
  HttpResponse response_;
  Error failure_{ErrorKind::internal, ""};
  int source_ = -1;
  int target_ = -1;
  std::int64_t body_size_ = 0;
  std::int64_t body_sent_ = 0;
  std::int64_t resume_at_ = 0;
  std::int64_t file_size_ = 0;
};

}  // namespace mayfly
