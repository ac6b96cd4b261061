#include "tests/clouds/fake_cloud.h"

#include <algorithm>
#include <thread>

#include <httplib.h>

#include "localhub/connection.h"

namespace mayfly {

struct FakeCloud::Server {
  httplib::Server http;
  std::thread thread;
  int port = 0;
};

std::string FakeRequest::header(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (same_header_name(header.name, name)) return header.value;
  }
  return {};
}

FakeCloud::FakeCloud(VirtualClock& clock)
    : fleet(clock), clock_(clock), server_(std::make_unique<Server>()) {
  types = {{"one", "A100", 1, 80, 129, {"r1", "r2"}},
           {"two", "A100", 2, 80, 258, {"r1"}},
           {"eight", "H100", 8, 80, 3192, {"r1"}}};
}

FakeCloud::~FakeCloud() {
  stop();
}

void FakeCloud::stop() {
  server_->http.stop();
  if (server_->port > 0) localhub::shut_down_connections(server_->port, 0);
  if (server_->thread.joinable()) server_->thread.join();
}

void FakeCloud::start() {
  const auto handle = [this](const httplib::Request& in, httplib::Response& out,
                             const std::string& body) {
    FakeRequest request;
    request.method = in.method;
    request.path = in.target;
    request.body = body;
    for (const auto& [name, value] : in.headers) request.headers.push_back({name, value});
    std::string harm;
    const FakeAnswer answer = this->answer(request, &harm, in.remote_port);
    out.status = answer.status;
    for (const HttpHeader& header : answer.headers) {
      out.set_header(header.name.c_str(), header.value.c_str());
    }
    if (harm == "drip") {
      out.set_content_provider(1 << 20, answer.type.c_str(),
                               [](std::size_t, std::size_t, httplib::DataSink& sink) {
                                 std::this_thread::sleep_for(std::chrono::milliseconds(50));
                                 return sink.write("x", 1);
                               });
      return;
    }
    out.set_content(answer.body, answer.type.c_str());
  };
  const auto plain = [handle](const httplib::Request& in, httplib::Response& out) {
    handle(in, out, "");
  };
  // Read by ourselves: the library takes forms of 8 KB only.
  const auto with_body = [handle](const httplib::Request& in, httplib::Response& out,
                                  const httplib::ContentReader& reader) {
    std::string body;
    if (in.get_header_value("Content-Length") != "0" && in.has_header("Content-Length")) {
      reader([&body](const char* bytes, std::size_t size) {
        body.append(bytes, size);
        return true;
      });
    }
    handle(in, out, body);
  };
  httplib::Server& http = server_->http;
  http.Get(".*", plain).Post(".*", with_body).Put(".*", with_body).Delete(".*", with_body);
  http.set_tcp_nodelay(true);
  http.set_keep_alive_max_count(100000);
  server_->port = http.bind_to_any_port("127.0.0.1");
  server_->thread = std::thread([this] { server_->http.listen_after_bind(); });
  while (!http.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::string FakeCloud::origin() const {
  return "http://127.0.0.1:" + std::to_string(server_->port);
}

const FakeType* FakeCloud::type_named(const std::string& name) const {
  for (const FakeType& type : types) {
    if (type.type == name) return &type;
  }
  return nullptr;
}

void FakeCloud::inject(FakeFault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FakeCloud::be_down_for(std::chrono::seconds time) {
  const std::lock_guard lock(mutex_);
  down_until_ = clock_.now() + time;
}

std::vector<FakeRequest> FakeCloud::journal() {
  const std::lock_guard lock(mutex_);
  return journal_;
}

int FakeCloud::count(Op op) {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::count_if(journal_.begin(), journal_.end(),
                                        [op](const FakeRequest& line) { return line.op == op; }));
}

FakeAnswer FakeCloud::busy(int retry_after_seconds) const {
  FakeAnswer answer{429, R"({"error":"too many requests"})"};
  if (retry_after_seconds > 0) {
    answer.headers.push_back({"Retry-After", std::to_string(retry_after_seconds)});
  }
  return answer;
}

std::optional<FakeFault> FakeCloud::take_fault(Op op) {
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->op != op) continue;
    if (fault->skip > 0) {
      --fault->skip;
      return std::nullopt;
    }
    const FakeFault taken = *fault;
    if (--fault->times == 0) faults_.erase(fault);
    return taken;
  }
  return std::nullopt;
}

FakeAnswer FakeCloud::answer(FakeRequest& request, std::string* harm, int remote_port) {
  const std::lock_guard lock(mutex_);
  request.op = op_of(request);
  request.at = clock_.now();
  const auto close = [&] {
    localhub::shut_down_connections(server_->port, remote_port);
    journal_.push_back(request);
    return FakeAnswer{};
  };
  if (down_until_ && clock_.now() < *down_until_) return close();
  const std::optional<FakeFault> fault = take_fault(request.op);
  if (fault && fault->harm == Harm::close_before) return close();
  FakeAnswer answer;
  if (fault && fault->harm == Harm::answer_instead) {
    answer = fault->answer;
  } else {
    answer = knows_key(request) ? serve(request) : bad_key();
    if (fault && fault->harm == Harm::answer_after) answer = fault->answer;
    if (fault && fault->harm == Harm::close_after) return close();
    if (fault && fault->harm == Harm::drip) *harm = "drip";
  }
  request.status = answer.status;
  journal_.push_back(request);
  return answer;
}

}  // namespace mayfly
