#include "core/provider/shadeform.h"

#include <algorithm>

#include "core/base64.h"
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

constexpr std::string_view kRunTag = "mayfly-run=";
constexpr std::chrono::seconds kBillingStep = 60s;
constexpr std::size_t kScriptMostBytes = 16384;

// {"error_code":"OUT_OF_STOCK","error":"..."}, or {"message":"..."}.
Error meaning(const HttpResponse& response) {
  const Result<json> body = parse_json(response.body, "the answer");
  std::string code, text;
  if (body) {
    code = text_at(*body, "error_code");
    text = text_at(*body, "error");
    if (text.empty()) text = text_at(*body, "message");
  }
  if (text.empty()) text = excerpt(response.body);
  Error error{kind_of_status(response.status),
              std::to_string(response.status) + (code.empty() ? "" : " " + code) + ": " + text};
  if (code == "OUT_OF_STOCK") error.kind = ErrorKind::no_capacity;
  if (error.kind == ErrorKind::unauthorized) {
    error.hint = "check the key in SHADEFORM_API_KEY";
  } else if (response.status == 402 || text.find("funds") != std::string::npos ||
             text.find("balance") != std::string::npos) {
    error.hint = "add funds to the Shadeform account";
  }
  return error;
}

CloudApi::Parts parts(const CloudAccess& access, const ApiPatience& patience) {
  CloudApi::Parts parts;
  parts.vendor = "Shadeform";
  parts.endpoint = access.endpoint;
  parts.authorize = [key = access.key](HttpRequest& request) {
    request.headers.push_back({"X-API-KEY", key.reveal()});
  };
  parts.meaning = meaning;
  parts.patience = patience;
  return parts;
}

// The newest Ubuntu with CUDA that the type can boot; "" leaves the choice to the vendor.
std::string image_of(const json& configuration) {
  std::string best;
  for (const json& option : list_of(configuration, "os_options")) {
    if (!option.is_string()) continue;
    const std::string name = option.get<std::string>();
    const bool fits = name.starts_with("ubuntu") && name.find("cuda") != std::string::npos &&
                      name.find("shade_os") != std::string::npos;
    if (fits && name > best) best = name;
  }
  return best;
}

void add_offers(const json& type, std::vector<Offer>& offers) {
  // Ours is a program that wants systemd and root; a container has neither.
  const std::string deployment = text_at(type, "deployment_type");
  if (!deployment.empty() && deployment != "vm" && deployment != "baremetal") return;
  const json& configuration = member(type, "configuration");
  const std::optional<double> price_cents = number_of(type, "hourly_price");
  Offer offer;
  offer.provider = "shadeform";
  offer.instance_type = text_at(type, "shade_instance_type");
  offer.cloud = text_at(type, "cloud");
  if (!price_cents || *price_cents < 0 || offer.instance_type.empty()) return;
  offer.price = {cents(std::llround(*price_cents)), kBillingStep};
  offer.gpu = gpu_model(text_at(configuration, "gpu_type"));
  offer.gpu_count = count_of(configuration, "num_gpus");
  offer.vram_gb = count_of(configuration, "vram_per_gpu_in_gb");
  offer.vcpus = count_of(configuration, "vcpus");
  offer.memory_gb = count_of(configuration, "memory_in_gb");
  offer.disk_gb = count_of(configuration, "storage_in_gb");
  offer.nvlink = maybe_flag_of(configuration, "nvlink");
  offer.image = image_of(configuration);
  for (const json& place : list_of(type, "availability")) {
    if (!flag_of(place, "available")) continue;
    offer.region = text_at(place, "region");
    offer.country = text_at(place, "display_name");
    offers.push_back(offer);
  }
}

std::string run_of_tags(const json& instance) {
  for (const json& tag : list_of(instance, "tags")) {
    if (!tag.is_string()) continue;
    const std::string text = tag.get<std::string>();
    if (text.starts_with(kRunTag)) return text.substr(kRunTag.size());
  }
  return {};
}

InstanceState state_of(const std::string& status) {
  if (status == "creating" || status == "pending_provider" || status == "pending") {
    return InstanceState::pending;
  }
  if (status == "error") return InstanceState::failed;
  if (status == "deleting") return InstanceState::terminating;
  if (status == "deleted") return InstanceState::gone;
  return InstanceState::running;  // "active"; and a word that is new costs money until it is known
}

// "$15.00" or "103.4".
std::optional<Usd> estimate_of(const json& instance) {
  std::string text = text_at(instance, "cost_estimate");
  if (text.starts_with('$')) text.erase(0, 1);
  const json holder = {{"usd", text}};
  return dollars_of(number_of(holder, "usd"));
}

Instance instance_of(const json& from, WallTime now) {
  Instance instance;
  instance.id = text_at(from, "id");
  instance.run_id = run_of_tags(from);
  instance.state = state_of(text_at(from, "status"));
  const Result<WallTime> created = parse_vendor_time(text_at(from, "created_at"));
  instance.created_at = created ? *created : now;
  if (const Result<WallTime> ended = parse_vendor_time(text_at(from, "deleted_at"))) {
    instance.ended_at = *ended;
  }
  instance.price = {cents(std::llround(number_of(from, "hourly_price").value_or(0))), kBillingStep};
  instance.address = text_at(from, "ip");
  instance.ssh_user = text_at(from, "ssh_user");
  if (const int port = count_of(from, "ssh_port"); port > 0) instance.ssh_port = port;
  instance.billed = estimate_of(from);
  instance.detail = text_at(from, "status");
  const std::string details = text_at(from, "status_details");
  if (!details.empty()) instance.detail += " (" + details + ")";
  return instance;
}

// What is true of a machine that is gone: only a well-formed answer of the vendor's proves it.
Result<json> parsed(const Result<std::string>& body, const char* what) {
  if (!body) return body.error();
  return parse_json(*body, what);
}

json create_body(const InstanceSpec& spec, const std::string& key) {
  json body = {
      {"cloud", spec.offer.cloud},
      {"region", spec.offer.region},
      {"shade_instance_type", spec.offer.instance_type},
      {"shade_cloud", true},
      {"name", machine_name(spec)},
      {"tags",
       {std::string(kRunTag) + spec.run_id, "mayfly-attempt=" + std::to_string(spec.attempt)}}};
  if (!spec.offer.image.empty()) body["os"] = spec.offer.image;
  if (!spec.user_data.empty()) {
    body["launch_configuration"] = {
        {"type", "script"},
        {"script_configuration", {{"base64_script", base64_encode(spec.user_data)}}}};
  }
  if (!key.empty()) body["ssh_key_id"] = key;
  json limits = json::object();
  if (spec.limits.end_by) limits["date_threshold"] = format_utc(*spec.limits.end_by);
  if (spec.limits.spend_cap) limits["spend_threshold"] = usd_decimal(*spec.limits.spend_cap);
  if (!limits.empty()) body["auto_delete"] = std::move(limits);
  return body;
}

}  // namespace

ShadeformProvider::ShadeformProvider(std::unique_ptr<HttpClient> http, Clock& clock,
                                     const CloudAccess& access, const ApiPatience& patience)
    : clock_(clock), access_(access), api_(std::move(http), clock, parts(access, patience)) {}

Result<std::vector<Offer>> ShadeformProvider::offers() {
  const auto answer =
      parsed(api_.read("/instances/types?available=true&sort=price"), "Shadeform's list of types");
  if (!answer) return answer.error();
  if (!member(*answer, "instance_types").is_array()) {
    return Error{ErrorKind::corrupt, "Shadeform's list of types has no instance_types"};
  }
  std::vector<Offer> offers;
  for (const json& type : list_of(*answer, "instance_types")) add_offers(type, offers);
  return offers;
}

// The id of the account's key with this material; it is added where there is none.
Result<std::string> ShadeformProvider::key_id(const std::string& public_key,
                                              const std::string& run_id) {
  if (public_key.empty()) return std::string();
  const auto keys = parsed(api_.read("/sshkeys"), "Shadeform's list of keys");
  if (!keys) return keys.error();
  for (const json& key : list_of(*keys, "ssh_keys")) {
    if (key_material(text_at(key, "public_key")) == key_material(public_key)) {
      return text_at(key, "id");
    }
  }
  // The name holds the key's own hash: a name that is taken would be taken by the same key.
  const std::string hash = sha256_hex(key_material(public_key)).substr(0, 12);
  const json body = {{"name", "mayfly-" + hash}, {"public_key", public_key}};
  const auto added =
      parsed(api_.repeat("POST", "/sshkeys/add", json_line(body)), "the answer to a new key");
  if (!added) return while_doing("adding the key of run " + run_id, added.error());
  return text_at(*added, "id");
}

CreateOutcome ShadeformProvider::create(const InstanceSpec& spec) {
  if (spec.user_data.size() > kScriptMostBytes) {
    return failed_outcome({ErrorKind::refused, "the start-up script is longer than 16 KB"});
  }
  const Result<std::string> key = key_id(spec.ssh_public_key, spec.run_id);
  if (!key) {
    // Nothing was asked that costs money, whatever became of the key.
    Error error = while_doing("preparing the SSH key", key.error());
    if (error.kind == ErrorKind::corrupt) error.kind = ErrorKind::refused;
    return failed_outcome(error);
  }
  const ChangeAnswer answer = api_.change("/instances/create", json_line(create_body(spec, *key)));
  if (!answer.response) return failed_outcome(answer.response.error(), answer.ask_again_after);
  const Result<json> body = parse_json(answer.response->body, "Shadeform's answer to create");
  const std::string id = body ? text_at(*body, "id") : std::string();
  if (id.empty()) {
    return failed_outcome({ErrorKind::outcome_unknown, "Shadeform's answer to create has no id"});
  }
  return made_outcome(id);
}

Result<std::vector<Instance>> ShadeformProvider::list_all() {
  const auto answer = parsed(api_.read("/instances"), "Shadeform's list of instances");
  if (!answer) return answer.error();
  if (!member(*answer, "instances").is_array()) {
    return Error{ErrorKind::corrupt, "Shadeform's list of instances has no instances"};
  }
  std::vector<Instance> all;
  for (const json& from : list_of(*answer, "instances")) {
    all.push_back(instance_of(from, clock_.now()));
  }
  return all;
}

Result<std::vector<Instance>> ShadeformProvider::list_ours() {
  Result<std::vector<Instance>> all = list_all();
  if (!all) return all;
  std::erase_if(*all, [](const Instance& instance) {
    return instance.run_id.empty() || instance.state == InstanceState::gone;
  });
  return all;
}

Result<std::vector<Instance>> ShadeformProvider::find_run(const std::string& run_id) {
  Result<std::vector<Instance>> ours = list_ours();
  if (!ours) return ours;
  std::erase_if(*ours, [&](const Instance& instance) { return instance.run_id != run_id; });
  return ours;
}

Result<Instance> ShadeformProvider::get(const InstanceId& id) {
  const auto answer =
      parsed(api_.read("/instances/" + percent_encode(id) + "/info"), "Shadeform's instance");
  if (answer) {
    if (text_at(*answer, "id") != id) {
      return Error{ErrorKind::corrupt, "Shadeform answered with another instance than " + id};
    }
    return instance_of(*answer, clock_.now());
  }
  if (answer.error().kind != ErrorKind::not_found) return answer.error();
  // That an unknown id is answered by 404 is not documented: the list decides.
  const Result<std::vector<Instance>> all = list_all();
  if (!all) return all.error();
  for (const Instance& instance : *all) {
    if (instance.id == id) return instance;
  }
  return Error{ErrorKind::not_found, "Shadeform does not list instance " + id};
}

Status ShadeformProvider::terminate(const InstanceId& id) {
  const Result<std::string> asked =
      api_.repeat("POST", "/instances/" + percent_encode(id) + "/delete", "");
  if (!asked) return asked.error();
  return Unit{};
}

ProviderTraits ShadeformProvider::traits() const {
  ProviderTraits traits;
  traits.keeps_end_time = true;
  traits.keeps_spend_cap = true;
  traits.absence_is_proof = false;
  traits.second_look = 10s;
  // "Run Startup Script" guide of docs.shadeform.ai: a script, run when the machine is active.
  traits.boot = BootForm::script;
  traits.console_url = "https://platform.shadeform.ai";
  return traits;
}

Result<ServerLimits> ShadeformProvider::limits_of(const InstanceId& id) {
  const auto answer =
      parsed(api_.read("/instances/" + percent_encode(id) + "/info"), "Shadeform's instance");
  if (!answer) return answer.error();
  const json& kept = member(*answer, "auto_delete");
  ServerLimits limits;
  if (const Result<WallTime> end = parse_vendor_time(text_at(kept, "date_threshold"))) {
    limits.end_by = *end;
  }
  limits.spend_cap = dollars_of(number_of(kept, "spend_threshold"));
  return limits;
}

std::optional<DestroyCall> ShadeformProvider::destroy_call() const {
  return DestroyCall{
      "POST", access_.endpoint + "/instances/{id}/delete", "", {{"X-API-KEY", access_.key}}};
}

}  // namespace mayfly
