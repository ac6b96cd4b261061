#include "localhub/server.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <fcntl.h>
#include <httplib.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/sha256.h"
#include "localhub/api.h"
#include "localhub/connection.h"
#include "localhub/request_log.h"
#include "localhub/router.h"

namespace mayfly::localhub {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

namespace {

constexpr const char* kAddress = "127.0.0.1";
// Each connection holds a thread while it is open; the Python client opens eight to each origin.
constexpr std::size_t kThreads = 48;
constexpr std::size_t kBlockBytes = 256 << 10;
constexpr std::size_t kLargestBody = std::size_t{1} << 30;  // of a commit, as on the real hub

enum class Origin { hub, storage };

struct Range {
  std::int64_t offset = 0;
  std::int64_t length = 0;
};

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

enum class RangeKind { none, part, impossible };

// "bytes=5-", "bytes=5-9", "bytes=-5". Lists of ranges, which no client of a hub sends, get all.
RangeKind read_range(std::string_view header, std::int64_t size, Range& range) {
  const auto dash = header.find('-');
  if (header.rfind("bytes=", 0) != 0 || dash == std::string_view::npos ||
      header.find(',') != std::string_view::npos) {
    return RangeKind::none;
  }
  const auto first = number(header.substr(6, dash - 6));
  const auto last = number(header.substr(dash + 1));
  if (!first && !last) return RangeKind::none;
  if (!first) {
    range.length = std::min(*last, size);
    range.offset = size - range.length;
    return range.length > 0 ? RangeKind::part : RangeKind::impossible;
  }
  if (*first >= size || (last && *last < *first)) return RangeKind::impossible;
  range.offset = *first;
  range.length = (last ? std::min(*last, size - 1) : size - 1) - *first + 1;
  return RangeKind::part;
}

void apply_range(const HubRequest& request, HubAnswer& answer) {
  if (answer.file.empty() || answer.status != 200) return;
  Range range;
  const std::int64_t size = answer.length;
  switch (read_range(request.header("Range"), size, range)) {
    case RangeKind::none:
      return;
    case RangeKind::impossible:
      answer = error_answer(416, "Range not satisfiable");
      answer.headers.push_back({"Content-Range", "bytes */" + std::to_string(size)});
      return;
    case RangeKind::part:
      answer.status = 206;
      answer.offset = range.offset;
      answer.length = range.length;
      answer.headers.push_back(
          {"Content-Range", "bytes " + std::to_string(range.offset) + "-" +
                                std::to_string(range.offset + range.length - 1) + "/" +
                                std::to_string(size)});
  }
}

// How the body of an answer leaves: whole, or as a fault says.
struct Delivery {
  std::int64_t cut_after = -1;
  std::int64_t bytes_per_second = 0;
  bool garble = false;
  bool endless = false;
};

Result<std::string> random_key() {
  std::ifstream in("/dev/urandom", std::ios::binary);
  std::string bytes(32, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return Error{ErrorKind::internal, "no random numbers from the system"};
  return sha256_hex(bytes);
}

// Kept in the folder, so that signed addresses outlive a restart.
Result<std::string> signing_key(const fs::path& root) {
  const fs::path file = root / "signing.key";
  if (const auto kept = read_file(file); kept && !kept->empty()) return *kept;
  const auto fresh = random_key();
  if (!fresh) return fresh.error();
  if (Status written = write_file(file, *fresh, 0600); !written) return written.error();
  return *fresh;
}

}  // namespace

struct Server::Parts {
  Parts(ServerOptions server_options, Clock& server_clock)
      : options(std::move(server_options)), clock(server_clock), used(clock.steady_now()) {}

  Status open();
  Status bind(Origin origin, int port);
  void serve();
  void stop();
  void answer(Origin origin, const httplib::Request& in, httplib::Response& out,
              const httplib::ContentReader* reader);
  bool read_body(Origin origin, const httplib::ContentReader& reader, HubRequest& request);
  HubAnswer handle(Origin origin, HubRequest& request, const std::optional<Fault>& fault);
  void deliver(const HubAnswer& answer, const Delivery& delivery, const httplib::Request& in,
               httplib::Response& out);
  void pause(double seconds);

  ServerOptions options;
  Clock& clock;
  std::unique_ptr<Library> library;
  std::optional<Hub> hub;
  Faults faults;
  httplib::Server servers[2];
  int ports[2] = {0, 0};
  std::thread threads[2];
  std::atomic<bool> stopping{false};
  std::atomic<int> running{0};
  std::atomic<SteadyTime> used;
  std::mutex log_mutex;
  int lock_fd = -1;
};

Status Server::Parts::open() {
  if (Status made = make_folders(options.root); !made) return made;
  lock_fd = ::open((options.root / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd < 0 || ::flock(lock_fd, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorKind::usage, "another localhub serves " + options.root.string(),
                 "use that one, or another --root"};
  }
  auto opened = Library::open(options.root);
  if (!opened) return opened.error();
  library = std::move(*opened);
  const auto key = signing_key(options.root);
  if (!key) return key.error();
  if (Status bound = bind(Origin::hub, options.port); !bound) return bound;
  if (Status bound = bind(Origin::storage, 0); !bound) return bound;
  const std::string base = std::string("http://") + kAddress + ":";
  hub.emplace(Hub{*library, clock, options.settings, *key, base + std::to_string(ports[0]),
                  base + std::to_string(ports[1])});
  return Unit{};
}

Status Server::Parts::bind(Origin origin, int port) {
  const auto index = static_cast<std::size_t>(origin);
  httplib::Server& server = servers[index];
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // The library's default also sets SO_REUSEPORT, with which two servers share a port silently.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(100000);
  server.set_keep_alive_timeout(30);
  server.set_read_timeout(60);
  server.set_write_timeout(60);
  const auto plain = [this, origin](const httplib::Request& in, httplib::Response& out) {
    answer(origin, in, out, nullptr);
  };
  const auto with_body = [this, origin](const httplib::Request& in, httplib::Response& out,
                                        const httplib::ContentReader& reader) {
    answer(origin, in, out, &reader);
  };
  server.Get(".*", plain).Post(".*", with_body).Put(".*", with_body).Delete(".*", with_body);
  ports[index] = port == 0 ? server.bind_to_any_port(kAddress)
                           : (server.bind_to_port(kAddress, port) ? port : -1);
  if (ports[index] > 0) return Unit{};
  return Error{ErrorKind::usage, "port " + std::to_string(port) + " of 127.0.0.1 is in use",
               "choose another --port, or 0 for any free one"};
}

void Server::Parts::serve() {
  for (std::size_t i = 0; i < 2; ++i) {
    threads[i] = std::thread([this, i] { servers[i].listen_after_bind(); });
  }
  for (auto& server : servers) {
    while (!server.is_running()) std::this_thread::sleep_for(milliseconds(1));
  }
}

void Server::Parts::stop() {
  stopping = true;
  for (std::size_t i = 0; i < 2; ++i) {
    servers[i].stop();
    if (ports[i] > 0) shut_down_connections(ports[i], 0);
  }
  for (auto& thread : threads) {
    if (thread.joinable()) thread.join();
  }
  if (lock_fd >= 0) ::close(lock_fd);
  lock_fd = -1;
}

// In slices, so that stopping is not delayed.
void Server::Parts::pause(double seconds) {
  for (double left = seconds; left > 0 && !stopping; left -= 0.05) {
    std::this_thread::sleep_for(
        milliseconds(std::max(1, static_cast<int>(std::min(left, 0.05) * 1000))));
  }
}

bool Server::Parts::read_body(Origin origin, const httplib::ContentReader& reader,
                              HubRequest& request) {
  const bool has_body =
      (request.header("Content-Length") != "0" && !request.header("Content-Length").empty()) ||
      !request.header("Transfer-Encoding").empty();
  if (origin == Origin::storage && request.method == "PUT") {
    request.body_file = library->objects().new_incoming();
    std::ofstream out(request.body_file, std::ios::binary);
    Digest digest;
    const bool complete = !has_body || reader([&](const char* bytes, std::size_t size) {
      out.write(bytes, static_cast<std::streamsize>(size));
      digest.update(bytes, size);
      return static_cast<bool>(out);
    });
    out.close();
    request.body_sha256 = digest.finish_hex();
    return complete && out;
  }
  return !has_body || reader([&](const char* bytes, std::size_t size) {
    request.body.append(bytes, size);
    return request.body.size() <= kLargestBody;
  });
}

HubAnswer Server::Parts::handle(Origin origin, HubRequest& request,
                                const std::optional<Fault>& fault) {
  if (fault && fault->kind == FaultKind::answer) return fault->answer;
  if (fault && fault->kind == FaultKind::hang) pause(fault->seconds);
  HubAnswer answer =
      origin == Origin::hub ? answer_hub(*hub, request) : answer_storage(*hub, request);
  if (!fault || fault->kind != FaultKind::ignore_range) apply_range(request, answer);
  return answer;
}

void Server::Parts::deliver(const HubAnswer& answer, const Delivery& delivery,
                            const httplib::Request& in, httplib::Response& out) {
  out.status = answer.status;
  for (const Header& header : answer.headers) out.set_header(header.name, header.value);
  if (delivery.endless) {
    std::string block = answer.body + " ";
    while (block.size() < kBlockBytes) block += block;
    out.set_chunked_content_provider(answer.content_type,
                                     [this, block](std::size_t, httplib::DataSink& sink) {
                                       return !stopping && sink.write(block.data(), block.size());
                                     });
    return;
  }
  const bool plain = delivery.cut_after < 0 && delivery.bytes_per_second == 0 && !delivery.garble;
  if (answer.file.empty() && plain) {
    out.set_content(answer.body, answer.content_type);
    return;
  }
  // The library would cut the body by the Range header too; we have done that.
  const_cast<httplib::Request&>(in).ranges.clear();
  const auto size = static_cast<std::int64_t>(answer.body.size());
  const std::int64_t length = answer.file.empty() ? size : answer.length;
  if (length == 0) {
    out.set_content("", answer.content_type);
    return;
  }
  auto file = std::make_shared<std::ifstream>();
  if (!answer.file.empty()) file->open(answer.file, std::ios::binary);
  const int local_port = in.local_port;
  const int remote_port = in.remote_port;
  out.set_content_provider(static_cast<std::size_t>(length), answer.content_type,
                           [this, file, answer, delivery, local_port, remote_port](
                               std::size_t at, std::size_t left, httplib::DataSink& sink) {
                             auto wanted = std::min<std::size_t>(left, kBlockBytes);
                             if (delivery.bytes_per_second > 0) {
                               wanted =
                                   std::min(wanted, static_cast<std::size_t>(std::max<std::int64_t>(
                                                        1, delivery.bytes_per_second / 20)));
                               pause(0.05);
                             }
                             if (delivery.cut_after >= 0) {
                               const auto rest = delivery.cut_after - static_cast<std::int64_t>(at);
                               if (rest <= 0 || stopping) {
                                 shut_down_connections(local_port, remote_port);
                                 return false;
                               }
                               wanted = std::min(wanted, static_cast<std::size_t>(rest));
                             }
                             std::string block(wanted, '\0');
                             if (answer.file.empty()) {
                               block = answer.body.substr(at, wanted);
                             } else {
                               file->seekg(static_cast<std::streamoff>(at) + answer.offset);
                               file->read(block.data(), static_cast<std::streamsize>(wanted));
                               if (file->gcount() != static_cast<std::streamsize>(wanted))
                                 return false;
                             }
                             if (delivery.garble && at == 0)
                               block[0] = static_cast<char>(block[0] ^ 1);
                             return sink.write(block.data(), block.size());
                           });
}

void Server::Parts::answer(Origin origin, const httplib::Request& in, httplib::Response& out,
                           const httplib::ContentReader* reader) {
  ++running;
  HubRequest request;
  request.method = in.method;
  for (const auto& [name, value] : in.headers) request.headers.push_back({name, value});
  const bool readable =
      read_target(in.target, request) && (reader == nullptr || read_body(origin, *reader, request));
  const std::optional<Fault> fault = readable ? faults.next(request) : std::nullopt;
  const auto is = [&](FaultKind kind) { return fault && fault->kind == kind; };

  HubAnswer answer = error_answer(400, "the request cannot be read");
  if (readable && !is(FaultKind::drop_before)) answer = handle(origin, request, fault);
  if (is(FaultKind::drop_before) || is(FaultKind::drop_after)) {
    shut_down_connections(in.local_port, in.remote_port);
  }
  if (is(FaultKind::reset)) reset_connections(in.local_port, in.remote_port);
  Delivery delivery;
  if (is(FaultKind::cut)) delivery.cut_after = fault->bytes;
  if (is(FaultKind::slow)) delivery.bytes_per_second = fault->bytes;
  delivery.garble = is(FaultKind::garble);
  delivery.endless = is(FaultKind::endless);
  if (options.log) {
    const std::string line =
        request_log_line(origin == Origin::hub ? "hub" : "storage", request, answer.status);
    const std::lock_guard lock(log_mutex);
    options.log(line);
  }
  if (!request.body_file.empty()) {
    std::error_code code;
    fs::remove(request.body_file, code);  // what no handler moved away
  }
  deliver(answer, delivery, in, out);
  used = clock.steady_now();
  --running;
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Clock& clock) {
  auto parts = std::make_unique<Parts>(std::move(options), clock);
  if (Status opened = parts->open(); !opened) {
    parts->stop();
    return opened.error();
  }
  parts->serve();
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  parts_->stop();
}

int Server::port() const {
  return parts_->ports[0];
}

int Server::storage_port() const {
  return parts_->ports[1];
}

const std::string& Server::endpoint() const {
  return parts_->hub->endpoint;
}

Faults& Server::faults() {
  return parts_->faults;
}

SteadyTime Server::last_used() const {
  return parts_->running > 0 ? parts_->clock.steady_now() : parts_->used.load();
}

}  // namespace mayfly::localhub
