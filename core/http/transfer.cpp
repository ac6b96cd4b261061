#include "core/http/transfer.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mayfly {

namespace fs = std::filesystem;

namespace {

Error file_error(const std::string& doing, int code) {
  ErrorKind kind = ErrorKind::refused;
  if (code == ENOSPC || code == EDQUOT) kind = ErrorKind::no_space;
  if (code == ENOENT) kind = ErrorKind::not_found;
  return Error{kind, doing + ": " + std::strerror(code)};
}

}  // namespace

Transfer::~Transfer() {
  if (source_ >= 0) ::close(source_);
  if (target_ >= 0) ::close(target_);
}

Status Transfer::open_files() {
  body_size_ = static_cast<std::int64_t>(request_.body.size());
  if (!request_.body_file.empty()) {
    source_ = ::open(request_.body_file.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (source_ < 0 || ::fstat(source_, &info) != 0) {
      return file_error("opening " + request_.body_file.string(), errno);
    }
    const std::int64_t rest = std::max<std::int64_t>(0, info.st_size - request_.body_offset);
    body_size_ = request_.body_size < 0 ? rest : request_.body_size;
    if (body_size_ > rest) {
      return Error{ErrorKind::corrupt, request_.body_file.string() + " is shorter than expected"};
    }
  }
  if (!request_.to_file.empty()) {
    std::error_code code;
    const auto size = fs::file_size(request_.to_file, code);
    if (!code) resume_at_ = static_cast<std::int64_t>(size);
    file_size_ = resume_at_;
  }
  return Unit{};
}

std::optional<std::size_t> Transfer::give(char* buffer, std::size_t room) {
  const auto rest = static_cast<std::size_t>(body_size_ - body_sent_);
  const std::size_t wanted = std::min(room, rest);
  if (wanted == 0) return 0;
  if (source_ < 0) {
    std::memcpy(buffer, request_.body.data() + body_sent_, wanted);
  } else {
    const ssize_t got = ::pread(source_, buffer, wanted, request_.body_offset + body_sent_);
    if (got <= 0) {
      failure_ = Error{ErrorKind::corrupt, "reading " + request_.body_file.string() + ": " +
                                               (got < 0 ? std::strerror(errno) : "it shrank")};
      return std::nullopt;
    }
    body_sent_ += got;
    return static_cast<std::size_t>(got);
  }
  body_sent_ += static_cast<std::int64_t>(wanted);
  return wanted;
}

void Transfer::take_header(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.rfind("HTTP/", 0) == 0) {  // also of a proxy's or an interim answer: start over
    response_.headers.clear();
    const auto space = line.find(' ');
    if (space != std::string_view::npos && space + 4 <= line.size()) {
      std::from_chars(line.data() + space + 1, line.data() + space + 4, response_.status);
    }
  } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
      value.remove_prefix(1);
    }
    response_.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
  }
}

bool Transfer::take(std::string_view bytes) {
  response_.body_bytes += static_cast<std::int64_t>(bytes.size());
  if (into_file()) return store(bytes);
  if (static_cast<std::int64_t>(response_.body.size() + bytes.size()) > request_.max_body_bytes) {
    failure_ = Error{ErrorKind::corrupt, "the answer is longer than " +
                                             std::to_string(request_.max_body_bytes) + " bytes"};
    return false;
  }
  response_.body.append(bytes);
  return true;
}

// Writes from the file's present end when the server continues there, else from the start.
Status Transfer::open_target() {
  const bool continues = response_.status == 206;
  if (continues) {
    const std::string want = "bytes " + std::to_string(resume_at_) + "-";
    if (response_.header("Content-Range").substr(0, want.size()) != want) {
      return Error{ErrorKind::corrupt, "the server sent another part of the file than was asked"};
    }
  }
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (continues ? O_APPEND : O_TRUNC);
  target_ = ::open(request_.to_file.c_str(), flags, 0644);
  if (target_ < 0) return file_error("opening " + request_.to_file.string(), errno);
  file_size_ = continues ? resume_at_ : 0;
  return Unit{};
}

bool Transfer::store(std::string_view bytes) {
  if (target_ < 0) {
    if (Status opened = open_target(); !opened) {
      failure_ = opened.error();
      return false;
    }
  }
  file_size_ += static_cast<std::int64_t>(bytes.size());
  if (request_.max_file_bytes >= 0 && file_size_ > request_.max_file_bytes) {
    failure_ = Error{ErrorKind::corrupt, "the answer is longer than the file should be (" +
                                             std::to_string(request_.max_file_bytes) + " bytes)"};
    return false;
  }
  while (!bytes.empty()) {
    const ssize_t written = ::write(target_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      failure_ = file_error("writing " + request_.to_file.string(), errno);
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace mayfly
