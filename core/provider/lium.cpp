#include "core/provider/lium.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/json.h"
#include "core/provider/gpu_name.h"
#include "core/provider/json_reading.h"
#include "core/provider/vendor_time.h"
#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr std::chrono::seconds kBillingStep = 1s;
constexpr const char* kImage = "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu22.04";

struct CodeRow {
  std::string_view code;
  ErrorKind kind;
};

constexpr std::array kCodes = {
    CodeRow{"node_not_found", ErrorKind::no_capacity},
    CodeRow{"node_rent_in_progress", ErrorKind::no_capacity},
    CodeRow{"node_not_verified", ErrorKind::no_capacity},
    CodeRow{"node_unavailable", ErrorKind::no_capacity},
    CodeRow{"node_paused_by_provider", ErrorKind::no_capacity},
    CodeRow{"provider_banned", ErrorKind::no_capacity},
    CodeRow{"node_below_bandwidth_floor", ErrorKind::no_capacity},
    CodeRow{"gpu_count_invalid", ErrorKind::no_capacity},
    CodeRow{"gpu_split_not_allowed", ErrorKind::no_capacity},
    CodeRow{"no_executor_matches_spec", ErrorKind::no_capacity},
    CodeRow{"idempotency_in_progress", ErrorKind::outcome_unknown},
    CodeRow{"idempotency_outcome_unknown", ErrorKind::outcome_unknown},
    CodeRow{"pod_state_conflict", ErrorKind::unreachable},  // it changes just now: ask again
};

// {"error":{"code","message","hint"}, "message", "detail"}; older servers have `detail` alone.
Error meaning(const HttpResponse& response) {
  const Result<json> body = parse_json(response.body, "the answer");
  std::string code, text, hint;
  if (body) {
    code = text_at(member(*body, "error"), "code");
    hint = text_at(member(*body, "error"), "hint");
    text = text_at(member(*body, "error"), "message");
    if (text.empty()) text = text_at(*body, "detail");
    if (text.empty()) text = text_at(*body, "message");
  }
  if (text.empty()) text = excerpt(response.body);
  Error error{kind_of_status(response.status),
              std::to_string(response.status) + (code.empty() ? "" : " " + code) + ": " + text,
              hint};
  for (const CodeRow& row : kCodes) {
    if (code == row.code) error.kind = row.kind;
  }
  if (response.status == 403 && text.find("scope") != std::string::npos) {
    error.kind = ErrorKind::unauthorized;
    error.hint = "make a key that may rent and manage";
  } else if (error.kind == ErrorKind::unauthorized) {
    error.hint = "check the key in LIUM_API_KEY";
  } else if (response.status == 402) {
    error.hint = "the budget of this key is used up; its pods are deleted by the vendor";
  }
  return error;
}

CloudApi::Parts parts(const CloudAccess& access, const ApiPatience& patience) {
  CloudApi::Parts parts;
  parts.vendor = "Lium";
  parts.endpoint = access.endpoint;
  parts.authorize = [key = access.key](HttpRequest& request) {
    request.headers.push_back({"X-API-KEY", key.reveal()});
  };
  parts.meaning = meaning;
  parts.pace = {1000ms, 0ms};  // 60 requests a minute, for all users of an account together
  parts.patience = patience;
  return parts;
}

Result<json> parsed(const Result<std::string>& body, const char* what) {
  if (!body) return body.error();
  return parse_json(*body, what);
}

Result<json> parsed_list(const Result<std::string>& body, const char* what) {
  Result<json> list = parsed(body, what);
  if (list && !list->is_array())
    return Error{ErrorKind::corrupt, std::string(what) + " is no list"};
  return list;
}

// How many GPUs of a node can be rented: all of it, or the powers of two between the least that its
// owner allows and what is free.
std::vector<int> rentable_counts(const json& node) {
  const int all = count_of(node, "gpu_count");
  const int free =
      member(node, "available_gpu_count").is_null() ? all : count_of(node, "available_gpu_count");
  const int least = count_of(node, "min_gpu_count_for_rental");
  if (free < 1) return {};
  if (least == 0) return free == all ? std::vector<int>{all} : std::vector<int>{};
  std::vector<int> counts;
  for (int count = 1; count < free; count *= 2) {
    if (count >= least) counts.push_back(count);
  }
  if (free >= least) counts.push_back(free);
  return counts;
}

void add_offers(const json& node, std::vector<Offer>& offers) {
  const std::optional<Usd> per_gpu = dollars_of(number_of(node, "price_per_gpu"));
  if (!per_gpu || text_at(node, "id").empty()) return;
  const json& specs = member(node, "specs");
  const json& cards = list_of(member(specs, "gpu"), "details");
  std::string card = text_at(node, "machine_name");
  if (card.empty() && !cards.empty()) card = text_at(cards.front(), "name");
  constexpr int kMib = 1024;
  constexpr double kKib = 1024.0 * 1024.0;
  Offer offer;
  offer.provider = "lium";
  offer.cloud = "lium";
  offer.instance_type = card;
  offer.host = text_at(node, "id");
  offer.gpu = gpu_model(card);
  offer.vram_gb = memory_in_name_gb(card);
  if (offer.vram_gb == 0 && !cards.empty()) {
    offer.vram_gb = (count_of(cards.front(), "capacity") + kMib / 2) / kMib;
  }
  const json& location = member(node, "location");
  offer.country = text_at(location, "country");
  offer.city = text_at(location, "city");
  offer.region = text_at(location, "region");
  if (offer.region.empty()) offer.region = offer.country;
  offer.spot = text_at(node, "tier") == "spot";
  offer.nvlink = maybe_flag_of(node, "nvlink");
  offer.upload_mbps = number_of(node, "effective_upload_speed_mbps");
  offer.download_mbps = number_of(node, "effective_download_speed_mbps");
  offer.vcpus = count_of(member(specs, "cpu"), "count");
  offer.memory_gb = static_cast<int>(number_of(member(specs, "ram"), "total").value_or(0) / kKib);
  offer.disk_gb =
      static_cast<int>(number_of(member(specs, "hard_disk"), "free").value_or(0) / kKib);
  for (const int count : rentable_counts(node)) {
    offer.gpu_count = count;
    offer.price = {*per_gpu * count, kBillingStep};
    offers.push_back(offer);
  }
}

InstanceState state_of(const std::string& status) {
  if (status == "PENDING") return InstanceState::pending;
  if (status == "DELETING") return InstanceState::terminating;
  for (const char* over : {"DELETED", "TERMINATED", "REMOVED", "CANCELLED"}) {
    if (status == over) return InstanceState::gone;
  }
  for (const char* bad :
       {"STOPPED", "FAILED", "CREATION_FAILED", "BROKEN", "REBOOT_FAILED", "ERROR"}) {
    if (status == bad) return InstanceState::failed;
  }
  return InstanceState::running;  // RUNNING, REBOOT_PENDING; a new word costs money until known
}

Instance instance_of(const json& from, WallTime now) {
  Instance instance;
  instance.id = text_at(from, "id");
  instance.run_id = run_of_name(text_at(from, "pod_name"));
  instance.state = state_of(text_at(from, "status"));
  const Result<WallTime> created = parse_vendor_time(text_at(from, "created_at"));
  instance.created_at = created ? *created : now;
  instance.price = {dollars_of(number_of(from, "price")).value_or(Usd{}), kBillingStep};
  if (const auto target = read_ssh_command(text_at(from, "ssh_connect_cmd"))) {
    instance.address = target->host;
    instance.ssh_port = target->port;
  }
  instance.ssh_user = "root";
  instance.detail = text_at(from, "status");
  return instance;
}

// A UUID in form, the same for the same attempt at the same node.
std::string idempotency_key(const InstanceSpec& spec) {
  const std::string hash = sha256_hex(machine_name(spec) + " " + spec.offer.host + " " +
                                      std::to_string(spec.offer.gpu_count));
  return hash.substr(0, 8) + "-" + hash.substr(8, 4) + "-5" + hash.substr(13, 3) + "-a" +
         hash.substr(17, 3) + "-" + hash.substr(20, 12);
}

// Whole hours, rounded up; the vendor takes 1 to 720.
std::int64_t termination_hours(WallTime end_by, WallTime now) {
  const std::int64_t hours = std::chrono::ceil<std::chrono::hours>(end_by - now).count();
  return std::clamp<std::int64_t>(hours, 1, 720);
}

}  // namespace

std::optional<SshTarget> read_ssh_command(std::string_view command) {
  constexpr std::string_view kStart = "ssh root@";
  constexpr std::string_view kPort = " -p ";
  if (!command.starts_with(kStart)) return std::nullopt;
  command.remove_prefix(kStart.size());
  SshTarget target;
  const auto space = command.find(' ');
  target.host = std::string(command.substr(0, space));
  const bool plain = !target.host.empty() && target.host.front() != '-' &&
                     target.host.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == std::string::npos;
  if (!plain) return std::nullopt;
  if (space == std::string_view::npos) return target;
  command.remove_prefix(space);
  if (!command.starts_with(kPort)) return std::nullopt;
  command.remove_prefix(kPort.size());
  const char* const end = command.data() + command.size();
  const auto [rest, error] = std::from_chars(command.data(), end, target.port);
  const bool good = error == std::errc() && rest == end && target.port > 0 && target.port < 65536;
  return good ? std::optional(target) : std::nullopt;
}

LiumProvider::LiumProvider(std::unique_ptr<HttpClient> http, Clock& clock,
                           const CloudAccess& access, const ApiPatience& patience)
    : clock_(clock), access_(access), api_(std::move(http), clock, parts(access, patience)) {}

Result<std::vector<Offer>> LiumProvider::offers() {
  const auto nodes = parsed_list(api_.read("/executors?view=summary"), "Lium's list of nodes");
  if (!nodes) return nodes.error();
  std::vector<Offer> offers;
  for (const json& node : *nodes) add_offers(node, offers);
  return offers;
}

// One for each pod; the vendor deletes it with the pod. Nothing in it is ours: what a template says
// stays readable.
Result<std::string> LiumProvider::template_for(const std::string& pod_name) {
  const auto known = templates_.find(pod_name);
  if (known != templates_.end()) return known->second;
  const json body = {{"name", pod_name},
                     {"docker_image", kImage},
                     {"docker_image_tag", ""},
                     {"docker_image_digest", ""},
                     {"internal_ports", {22}},
                     {"entrypoint", ""},
                     {"startup_commands", ""},
                     {"environment", json::object()},
                     {"volumes", {"/root"}},
                     {"is_private", true},
                     {"one_time_template", true},
                     {"category", "UBUNTU"},
                     {"container_start_immediately", true},
                     {"description", "made by mayfly"},
                     {"readme", ""}};
  // A second one that nobody uses costs nothing.
  const auto made = parsed(api_.repeat("POST", "/templates", json_line(body)), "Lium's template");
  if (!made) return made.error();
  const std::string id = text_at(*made, "id");
  if (id.empty()) return Error{ErrorKind::corrupt, "Lium's template has no id"};
  templates_[pod_name] = id;
  return id;
}

void LiumProvider::drop_template(const std::string& pod_name) {
  const auto known = templates_.find(pod_name);
  if (known == templates_.end()) return;
  // It stays behind unused if this fails, and costs nothing.
  static_cast<void>(api_.repeat("DELETE", "/templates/" + percent_encode(known->second), ""));
  templates_.erase(known);
}

CreateOutcome LiumProvider::create(const InstanceSpec& spec) {
  if (spec.ssh_public_key.empty()) {
    return failed_outcome({ErrorKind::usage, "Lium makes no pod without an SSH key"});
  }
  const std::string name = machine_name(spec);
  const Result<std::string> base = template_for(name);
  if (!base) {
    // Nothing was asked that costs money, whatever became of the template.
    Error error = while_doing("preparing the template", base.error());
    if (error.kind == ErrorKind::corrupt) error.kind = ErrorKind::refused;
    return failed_outcome(error);
  }
  json body = {{"pod_name", name},
               {"template_id", *base},
               {"user_public_key", {spec.ssh_public_key}},
               {"gpu_count", spec.offer.gpu_count},
               {"initial_port_count", 2},
               {"enable_volume_encryption", false},
               {"enable_backups", false}};
  if (spec.limits.end_by) {
    body["termination_hours"] = termination_hours(*spec.limits.end_by, clock_.now());
  }
  const ChangeAnswer answer =
      api_.change("/executors/" + percent_encode(spec.offer.host) + "/rent", json_line(body),
                  {{"Idempotency-Key", idempotency_key(spec)}});
  if (!answer.response) {
    CreateOutcome outcome = failed_outcome(answer.response.error(), answer.ask_again_after);
    // A node that is not there any more; with another node it may go well.
    if (outcome.error.kind == ErrorKind::not_found) outcome.error.kind = ErrorKind::no_capacity;
    const bool again = outcome.error.kind == ErrorKind::rate_limited ||
                       outcome.error.kind == ErrorKind::unreachable;
    if (outcome.kind == CreateOutcome::Kind::refused && !again) drop_template(name);
    return outcome;
  }
  const Result<json> reply = parse_json(answer.response->body, "Lium's answer to rent");
  const std::string id = reply ? text_at(*reply, "pod_id") : std::string();
  if (id.empty()) {
    // Older servers say no more than that it went well: the pod is found by its name.
    return failed_outcome({ErrorKind::outcome_unknown, "Lium's answer to rent has no pod_id"});
  }
  return made_outcome(id);
}

Result<std::vector<Instance>> LiumProvider::list_ours() {
  const auto pods = parsed_list(api_.read("/pods"), "Lium's list of pods");
  if (!pods) return pods.error();
  std::vector<Instance> ours;
  for (const json& pod : *pods) {
    Instance instance = instance_of(pod, clock_.now());
    if (instance.run_id.empty() || instance.state == InstanceState::gone) continue;
    ours.push_back(std::move(instance));
  }
  return ours;
}

Result<std::vector<Instance>> LiumProvider::find_run(const std::string& run_id) {
  Result<std::vector<Instance>> ours = list_ours();
  if (!ours) return ours;
  std::erase_if(*ours, [&](const Instance& instance) { return instance.run_id != run_id; });
  return ours;
}

Result<Instance> LiumProvider::get(const InstanceId& id) {
  const auto pod = parsed(api_.read("/pods/" + percent_encode(id)), "Lium's pod");
  if (!pod) return pod.error();
  if (text_at(*pod, "id") != id) {
    return Error{ErrorKind::corrupt, "Lium answered with another pod than " + id};
  }
  return instance_of(*pod, clock_.now());
}

// Without a body: the vendor's edge refuses some.
Status LiumProvider::terminate(const InstanceId& id) {
  const Result<std::string> asked = api_.repeat("DELETE", "/pods/" + percent_encode(id), "");
  if (!asked) return asked.error();
  return Unit{};
}

ProviderTraits LiumProvider::traits() const {
  ProviderTraits traits;
  traits.keeps_end_time = true;
  traits.boot = BootForm::over_ssh;
  traits.absence_is_proof = false;
  traits.second_look = 10s;
  traits.console_url = "https://lium.io/pods";
  return traits;
}

Result<ServerLimits> LiumProvider::limits_of(const InstanceId& id) {
  const auto pod = parsed(api_.read("/pods/" + percent_encode(id)), "Lium's pod");
  if (!pod) return pod.error();
  ServerLimits limits;
  if (const Result<WallTime> end = parse_vendor_time(text_at(*pod, "removal_scheduled_at"))) {
    limits.end_by = *end;
  }
  return limits;
}

std::optional<DestroyCall> LiumProvider::destroy_call() const {
  return DestroyCall{"DELETE", access_.endpoint + "/pods/{id}", "", {{"X-API-KEY", access_.key}}};
}

}  // namespace mayfly
