#include "agent/steering.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/dashboard.h"
#include "agent/metrics.h"
#include "core/atomic_file.h"
#include "core/base64.h"
#include "core/json.h"
#include "core/log.h"
#include "core/run/request.h"
#include "core/run/run_status.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kNvidiaSmi = "/usr/bin/nvidia-smi";
constexpr std::int64_t kLogBytes = 8 << 10;
constexpr std::size_t kLogLines = 20;
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kLongestName = 200;

SteeringAnswer json_answer(int status, const json& body) {
  return {.status = status, .type = "application/json", .body = json_line(body) + "\n"};
}

SteeringAnswer refusal(int status, const std::string& why) {
  return json_answer(status, {{"error", why}});
}

// In a time that does not depend on where they differ.
bool same(std::string_view given, std::string_view wanted) {
  if (given.size() != wanted.size() || wanted.empty()) return false;
  int different = 0;
  for (std::size_t i = 0; i < given.size(); ++i) different |= given[i] ^ wanted[i];
  return different == 0;
}

std::string last_lines(const fs::path& path) {
  std::error_code code;
  const auto size = static_cast<std::int64_t>(fs::file_size(path, code));
  if (code) return {};
  const std::int64_t wanted = std::min(size, kLogBytes);
  std::ifstream in(path, std::ios::binary);
  in.seekg(size - wanted);
  std::string text(static_cast<std::size_t>(wanted), '\0');
  in.read(text.data(), wanted);
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  auto at = text.size();
  for (std::size_t lines = 0; at > 0 && lines <= kLogLines; ++lines) {
    const auto found = text.rfind('\n', at - 1);
    if (found == std::string::npos) return mask_tokens(text);
    at = found;
  }
  return mask_tokens(text.substr(at == 0 ? 0 : at + 1));
}

// What is asked for, every key checked: a misspelt limit must not be an extension by nothing.
Result<Request> request_of(const std::string& body, WallTime now) {
  const Result<json> document = parse_json(body, "the request");
  if (!document) return document.error();
  const Error wrong{ErrorKind::usage,
                    "ask with {\"request\": \"checkpoint\", \"down\", \"down_now\" or "
                    "\"extend\"}; extend takes \"minutes\", a number, and \"dollars\", a text"};
  if (!document->is_object()) return wrong;
  Request request{.kind = RequestKind::down, .by = "the agent's socket", .at = now, .file = {}};
  bool known = false;
  for (const auto& [key, value] : document->items()) {
    if (key == "request" && value.is_string()) {
      for (const RequestKind kind : {RequestKind::down, RequestKind::down_now,
                                     RequestKind::checkpoint, RequestKind::extend}) {
        if (request_word(kind) != value.get_ref<const std::string&>()) continue;
        request.kind = kind;
        known = true;
      }
    } else if (key == "by" && value.is_string()) {
      request.by = value.get<std::string>().substr(0, kLongestName);
    } else if (key == "minutes" && value.is_number()) {
      request.minutes = value.get<double>();
    } else if (key == "dollars" && value.is_string()) {
      const Result<Usd> amount = parse_usd(value.get_ref<const std::string&>());
      if (!amount) return amount.error();
      request.spend = *amount;
    } else {
      return wrong;
    }
  }
  const bool adds = request.minutes > 0 || request.spend.micros > 0;
  const bool takes = request.minutes < 0 || request.spend.micros < 0;
  if (!known || takes || adds != (request.kind == RequestKind::extend)) return wrong;
  return request;
}

std::optional<RunStatus> current_status(const RunDirectory& run) {
  Result<RunStatus> status = read_status(run.status().string());
  return status ? std::optional(std::move(*status)) : std::nullopt;
}

// The token of an earlier life stays good, so that a page that is open goes on working.
Result<Secret> token_of(const fs::path& file) {
  constexpr std::string_view kHex = "0123456789abcdef";
  struct stat info {};
  const auto kept = read_file(file);
  const bool private_file = ::stat(file.c_str(), &info) == 0 && (info.st_mode & 077) == 0;
  if (kept && private_file && kept->size() == 2 * kTokenBytes + 1) {
    return Secret(kept->substr(0, 2 * kTokenBytes));
  }
  std::array<unsigned char, kTokenBytes> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return Error{ErrorKind::refused, "no random numbers from the system"};
  }
  std::string token;
  for (const unsigned char byte : random) {
    token += kHex[byte >> 4U];
    token += kHex[byte & 15U];
  }
  if (const Status written = write_file(file, token + "\n", 0600); !written) {
    return written.error();
  }
  return Secret(token);
}

}  // namespace

Steering::Steering(RunDirectory run, Secret token, fs::path nvidia_smi, Clock& clock)
    : run_(std::move(run)),
      token_(std::move(token)),
      curve_(run_.events()),
      gpus_(std::move(nvidia_smi), run_.agent(), clock),
      clock_(clock) {}

bool Steering::may_look(const SteeringRequest& request) const {
  constexpr std::string_view kBearer = "Bearer ";
  constexpr std::string_view kBasic = "Basic ";
  const std::string_view sent = request.header("authorization");
  if (sent.starts_with(kBearer)) return same(sent.substr(kBearer.size()), token_.reveal());
  if (!sent.starts_with(kBasic)) return false;
  const auto pair = base64_decode(sent.substr(kBasic.size()));
  if (!pair) return false;
  const auto colon = pair->find(':');
  return colon != std::string::npos &&
         same(std::string_view(*pair).substr(colon + 1), token_.reveal());
}

SteeringAnswer Steering::answer(const SteeringRequest& request, Door door) {
  if (door == Door::port) {
    // A name that somebody else's page made to point here is not ours.
    const std::string_view host = request.header("host");
    const std::string_view name = host.substr(0, host.rfind(':'));
    if (name != "127.0.0.1" && name != "localhost") return refusal(403, "not this host");
    if (!may_look(request)) {
      SteeringAnswer answer = refusal(401, "the token of agent/http-token is needed");
      answer.extra_header = "WWW-Authenticate: Basic realm=\"mayfly\"";
      return answer;
    }
  }
  const bool looks = request.method == "GET" || request.method == "HEAD";
  if (request.path == "/request") {
    if (door == Door::port) return refusal(403, "the port is only to look; ask by the socket");
    if (request.method == "POST") return take_request(request.body);
    SteeringAnswer answer = refusal(405, "ask with POST");
    answer.extra_header = "Allow: POST";
    return answer;
  }
  if (!looks) {
    SteeringAnswer answer = refusal(405, "this is only to look at");
    answer.extra_header = "Allow: GET, HEAD";
    return answer;
  }
  return show(request.path);
}

SteeringAnswer Steering::show(const std::string& path) {
  if (path == "/status") {
    Result<std::string> text = read_file(run_.status());
    if (!text) return refusal(503, "the agent has not taken its first turn yet");
    return {.status = 200, .type = "application/json", .body = *std::move(text)};
  }
  if (path == "/metrics") {
    return {.status = 200,
            .type = kMetricsType,
            .body = metrics_text(current_status(run_), gpus_.look())};
  }
  if (path != "/") return refusal(404, "there are /, /status, /metrics and /request");
  curve_.read_new();
  const std::vector<LogLines> logs = {{"train", last_lines(run_.trainer_log())},
                                      {"agent", last_lines(run_.agent_log())}};
  return {.status = 200,
          .type = "text/html; charset=utf-8",
          .body = dashboard_page(current_status(run_), curve_, gpus_.look(), logs)};
}

SteeringAnswer Steering::take_request(const std::string& body) {
  const Result<Request> asked = request_of(body, clock_.now());
  if (!asked) return refusal(400, asked.error().message);
  const Status sent = send_request(run_, *asked);
  if (!sent) return refusal(503, sent.error().message);
  return json_answer(202, {{"accepted", request_word(asked->kind)}});
}

Result<std::unique_ptr<SteeringServer>> open_steering(const RunDirectory& run, int port,
                                                      Clock& clock) {
  const Result<Secret> token = token_of(run.agent() / "http-token");
  if (!token) return token.error();
  const auto steering = std::make_shared<Steering>(run, *token, kNvidiaSmi, clock);
  auto server = SteeringServer::start({run.agent() / "control.sock", port},
                                      [steering](const SteeringRequest& request, Door door) {
                                        return steering->answer(request, door);
                                      });
  if (!server) return server;
  const json where = {{"port", (*server)->port()}, {"token_file", "agent/http-token"}};
  const Status written = write_file(run.agent() / "http.json", json_line(where) + "\n", 0600);
  if (!written) return written.error();
  return server;
}

}  // namespace mayfly
