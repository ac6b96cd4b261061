#include "core/http/curl_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/url.h"
#include "version.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr long kStallBytesPerSecond = 1024;

// A signed address is a credential in its query, so errors show none.
std::string shown(const std::string& url) {
  return url.substr(0, url.find_first_of("?#"));
}

bool changes_nothing(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

bool is_loopback(const std::string& url) {
  const std::string origin = origin_of(url);
  const std::string host = origin.substr(std::min(origin.size(), origin.find("://") + 3));
  return host.rfind("127.", 0) == 0 || host.rfind("localhost:", 0) == 0 ||
         host.rfind("[::1]:", 0) == 0;
}

// One request on the wire and its answer: what libcurl's callbacks read and fill.
class Transfer {
 public:
  Transfer(const HttpRequest& request, const std::atomic<bool>* stop)
      : request_(request), stop_(stop) {}
  ~Transfer() {
    if (source_ >= 0) ::close(source_);
    if (target_ >= 0) ::close(target_);
  }
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

  std::size_t give(char* buffer, std::size_t room);
  bool rewind(std::int64_t offset) {
    body_sent_ = offset;
    return true;
  }
  std::size_t take(const char* bytes, std::size_t size);
  std::size_t take_header(std::string_view line);

 private:
  bool into_file() const {
    return !request_.to_file.empty() && (response_.status == 200 || response_.status == 206);
  }
  Status open_target();
  bool store(const char* bytes, std::size_t size);

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

Error file_error(const std::string& doing, int code) {
  ErrorKind kind = ErrorKind::refused;
  if (code == ENOSPC || code == EDQUOT) kind = ErrorKind::no_space;
  if (code == ENOENT) kind = ErrorKind::not_found;
  return Error{kind, doing + ": " + std::strerror(code)};
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

std::size_t Transfer::give(char* buffer, std::size_t room) {
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
      return CURL_READFUNC_ABORT;
    }
    body_sent_ += got;
    return static_cast<std::size_t>(got);
  }
  body_sent_ += static_cast<std::int64_t>(wanted);
  return wanted;
}

std::size_t Transfer::take_header(std::string_view line) {
  const std::size_t size = line.size();
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
  return size;
}

std::size_t Transfer::take(const char* bytes, std::size_t size) {
  response_.body_bytes += static_cast<std::int64_t>(size);
  if (into_file()) return store(bytes, size) ? size : 0;
  if (static_cast<std::int64_t>(response_.body.size() + size) > request_.max_body_bytes) {
    failure_ = Error{ErrorKind::corrupt, "the answer is longer than " +
                                             std::to_string(request_.max_body_bytes) + " bytes"};
    return 0;
  }
  response_.body.append(bytes, size);
  return size;
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

bool Transfer::store(const char* bytes, std::size_t size) {
  if (target_ < 0) {
    if (Status opened = open_target(); !opened) {
      failure_ = opened.error();
      return false;
    }
  }
  file_size_ += static_cast<std::int64_t>(size);
  if (request_.max_file_bytes >= 0 && file_size_ > request_.max_file_bytes) {
    failure_ = Error{ErrorKind::corrupt, "the answer is longer than the file should be (" +
                                             std::to_string(request_.max_file_bytes) + " bytes)"};
    return false;
  }
  while (size > 0) {
    const ssize_t written = ::write(target_, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      failure_ = file_error("writing " + request_.to_file.string(), errno);
      return false;
    }
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->give(buffer, size * count);
}

int on_seek(void* transfer, curl_off_t offset, int origin) {
  const bool done = origin == SEEK_SET && static_cast<Transfer*>(transfer)->rewind(offset);
  return done ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

std::size_t on_write(char* bytes, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take(bytes, size * count);
}

std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take_header({bytes, size * count});
}

int on_progress(void* transfer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  static_cast<Transfer*>(transfer)->tell_progress();
  return static_cast<Transfer*>(transfer)->stopped() ? 1 : 0;
}

curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

class HeaderList {
 public:
  ~HeaderList() {
    curl_slist_free_all(list_);
  }
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  void add(const std::string& line) {
    list_ = curl_slist_append(list_, line.c_str());
  }
  curl_slist* get() const {
    return list_;
  }

 private:
  curl_slist* list_ = nullptr;
};

void set_deadlines(CURL* curl, const HttpRequest& request) {
  using std::chrono::milliseconds;
  const auto at_least_one = [](milliseconds time) {
    return std::max<long>(1, static_cast<long>(time.count()));
  };
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, at_least_one(request.connect_timeout));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, at_least_one(request.total_timeout));
  if (request.stall_timeout.count() > 0) {
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(request.stall_timeout.count()));
  }
}

void set_callbacks(CURL* curl, Transfer& transfer) {
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
  curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
}

void set_method(CURL* curl, const HttpRequest& request, const Transfer& transfer) {
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (transfer.has_body()) {
    // UPLOAD with another word is how libcurl streams any body with a known length.
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(transfer.body_size()));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else if (request.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  if (request.method == "POST") curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
}

void set_headers(HeaderList& headers, const HttpRequest& request, const Transfer& transfer) {
  headers.add("Expect:");  // waiting for "100 Continue" costs a second where it is not supported
  bool chose_encoding = false;
  for (const HttpHeader& header : request.headers) {
    headers.add(header.name + (header.value.empty() ? ";" : ": " + header.value));
    chose_encoding = chose_encoding || same_header_name(header.name, "Accept-Encoding");
  }
  // Plain bytes only: sizes are then what they seem, and nothing can unpack into a bomb.
  if (!chose_encoding) headers.add("Accept-Encoding: identity");
  if (transfer.resume_at() > 0) {
    headers.add("Range: bytes=" + std::to_string(transfer.resume_at()) + "-");
  }
}

bool request_was_sent(CURL* curl, const Transfer& transfer) {
  long sent = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
  return sent > 0 && transfer.body_was_read();
}

Error transfer_error(CURL* curl, CURLcode code, const HttpRequest& request,
                     const Transfer& transfer, const char* details) {
  const std::string doing = request.method + " " + shown(request.url);
  const std::string why = details[0] != '\0' ? details : curl_easy_strerror(code);
  if (!transfer.failure().message.empty() && code != CURLE_OK) {
    return while_doing(doing, transfer.failure());
  }
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Error{ErrorKind::usage, doing + ": " + why};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Error{ErrorKind::refused, doing + ": " + why,
                   "if a proxy signs for this host, name its certificate in SSL_CERT_FILE"};
    case CURLE_PARTIAL_FILE:
      if (changes_nothing(request)) return Error{ErrorKind::corrupt, doing + ": " + why};
      break;
    case CURLE_ABORTED_BY_CALLBACK:
      if (!request_was_sent(curl, transfer)) {
        return Error{ErrorKind::unreachable, doing + ": stopped"};
      }
      break;
    default:
      break;
  }
  const bool may_have_happened = !changes_nothing(request) && request_was_sent(curl, transfer);
  return Error{may_have_happened ? ErrorKind::outcome_unknown : ErrorKind::unreachable,
               doing + ": " + why + (may_have_happened ? " (after the request was sent)" : "")};
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

struct CurlHttpClient::Connections {
  CURL* curl = nullptr;
};

CurlOptions curl_options_from_environment() {
  CurlOptions options;
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
    const char* file = std::getenv(name);
    if (file != nullptr && file[0] != '\0' && options.ca_file.empty()) options.ca_file = file;
  }
  return options;
}

CurlHttpClient::CurlHttpClient(CurlOptions options)
    : options_(std::move(options)), connections_(std::make_unique<Connections>()) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (options_.user_agent.empty()) options_.user_agent = std::string("mayfly/") + kVersion;
  if (ready == CURLE_OK) connections_->curl = curl_easy_init();
}

CurlHttpClient::~CurlHttpClient() {
  if (connections_->curl != nullptr) curl_easy_cleanup(connections_->curl);
}

namespace {

Result<HttpResponse> send_once(CURL* curl, const CurlOptions& options, const HttpRequest& request) {
  Transfer transfer(request, options.stop);
  if (Status opened = transfer.open_files(); !opened) return opened.error();
  if (transfer.stopped()) {
    return Error{ErrorKind::unreachable, request.method + " " + shown(request.url) + ": stopped"};
  }
  curl_easy_reset(curl);  // keeps connections
  std::array<char, CURL_ERROR_SIZE> details{};
  HeaderList headers;
  set_headers(headers, request, transfer);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);  // signals and threads do not go together
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details.data());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, options.user_agent.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  if (is_loopback(request.url)) curl_easy_setopt(curl, CURLOPT_PROXY, "");
  if (!options.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
  set_deadlines(curl, request);
  set_callbacks(curl, transfer);
  set_method(curl, request, transfer);

  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return transfer_error(curl, code, request, transfer, details.data());
  if (Status finished = transfer.finish_files(); !finished) return finished.error();
  return std::move(transfer.response());
}

// The request to send after `response` sent `request` elsewhere.
Result<HttpRequest> redirected(HttpRequest request, const HttpResponse& response) {
  const Result<std::string> url =
      resolve_url(request.url, std::string(response.header("Location")));
  if (!url) return url.error();
  const std::string from = origin_of(request.url);
  const std::string to = origin_of(*url);
  if (from.rfind("https:", 0) == 0 && to.rfind("https:", 0) != 0) {
    return Error{ErrorKind::refused, shown(request.url) + " redirects to an unencrypted address"};
  }
  if (from != to) {
    std::erase_if(request.headers, [](const HttpHeader& header) {
      return same_header_name(header.name, "Authorization") ||
             same_header_name(header.name, "Cookie");
    });
  }
  request.url = *url;
  return request;
}

}  // namespace

Result<HttpResponse> CurlHttpClient::send(const HttpRequest& first) {
  if (connections_->curl == nullptr) return Error{ErrorKind::internal, "libcurl does not start"};
  HttpRequest request = first;
  for (int redirects = 0;; ++redirects) {
    Result<HttpResponse> response = send_once(connections_->curl, options_, request);
    const bool follow = response && is_redirect(response->status) && changes_nothing(request) &&
                        first.max_redirects > 0 && !response->header("Location").empty();
    if (!follow) return response;
    if (redirects == first.max_redirects) {
      return Error{ErrorKind::refused, shown(first.url) + " redirects too often"};
    }
    Result<HttpRequest> next = redirected(std::move(request), *response);
    if (!next) return next.error();
    request = std::move(*next);
  }
}

}  // namespace mayfly
