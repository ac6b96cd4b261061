#include "core/http/curl_client.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <curl/curl.h>
#include <signal.h>
#include <sys/socket.h>

#include "core/http/transfer.h"
#include "core/url.h"
#include "version.h"

namespace mayfly {

namespace {

constexpr long kStallBytesPerSecond = 1024;

// Writing to a connection that the other side has closed raises SIGPIPE, which ends a program that
// did not ask for it; OpenSSL gives no way to say so for a single write. For as long as this lives,
// the signal is held back in this thread, and one that was raised meanwhile is taken away.
class WithoutBrokenPipes {
 public:
  WithoutBrokenPipes() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutBrokenPipes() {
    const timespec no_time{};
    while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &no_time) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutBrokenPipes(const WithoutBrokenPipes&) = delete;
  WithoutBrokenPipes& operator=(const WithoutBrokenPipes&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

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

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->give(buffer, size * count).value_or(CURL_READFUNC_ABORT);
}

int on_seek(void* transfer, curl_off_t offset, int origin) {
  const bool done = origin == SEEK_SET && static_cast<Transfer*>(transfer)->rewind(offset);
  return done ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_CANTSEEK;
}

std::size_t on_write(char* bytes, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take({bytes, size * count}) ? size * count : 0;
}

std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* transfer) {
  static_cast<Transfer*>(transfer)->take_header({bytes, size * count});
  return size * count;
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

  const WithoutBrokenPipes no_pipes;
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
