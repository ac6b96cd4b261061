#include "core/provider/lambda.h"

#include <algorithm>
#include <array>

#include "core/json.h"
#include "core/provider/gpu_name.h"
#include "core/provider/json_reading.h"
#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr const char* kRunTag = "mayfly-run";
constexpr const char* kCreatedTag = "mayfly-created";
constexpr std::chrono::seconds kBillingStep = 60s;
constexpr std::size_t kUserDataMostBytes = 1'000'000;

struct CodeRow {
  std::string_view code;  // or how codes begin, with a slash at the end
  ErrorKind kind;
};

constexpr std::array kCodes = {
    CodeRow{"instance-operations/launch/insufficient-capacity", ErrorKind::no_capacity},
    CodeRow{"instance-operations/launch/file-system-in-wrong-region", ErrorKind::refused},
    CodeRow{"global/quota-exceeded", ErrorKind::refused},
    CodeRow{"global/invalid-parameters", ErrorKind::refused},
    CodeRow{"global/invalid-api-key", ErrorKind::unauthorized},
    CodeRow{"global/account-inactive", ErrorKind::refused},
    CodeRow{"global/invalid-address", ErrorKind::refused},
    CodeRow{"global/object-does-not-exist", ErrorKind::not_found},
    CodeRow{"global/internal-error", ErrorKind::outcome_unknown},
    CodeRow{"provider/", ErrorKind::outcome_unknown},
};

// {"error":{"code","message","suggestion"}}.
Error meaning(const HttpResponse& response) {
  const Result<json> body = parse_json(response.body, "the answer");
  std::string code, text;
  if (body) {
    code = text_at(member(*body, "error"), "code");
    text = text_at(member(*body, "error"), "message");
  }
  if (text.empty()) text = excerpt(response.body);
  Error error{kind_of_status(response.status),
              std::to_string(response.status) + (code.empty() ? "" : " " + code) + ": " + text};
  if (body) error.hint = text_at(member(*body, "error"), "suggestion");
  for (const CodeRow& row : kCodes) {
    const bool fits = row.code.ends_with('/') ? code.starts_with(row.code) : code == row.code;
    if (fits) error.kind = row.kind;
  }
  // Still being made, or already being ended: not a refusal that lasts.
  if (code.find("vm-has-not-launched") != std::string::npos ||
      code.find("vm-is-terminating") != std::string::npos) {
    error.kind = ErrorKind::unreachable;
  }
  if (error.kind == ErrorKind::unauthorized) error.hint = "check the key in LAMBDA_API_KEY";
  return error;
}

CloudApi::Parts parts(const CloudAccess& access, const ApiPatience& patience) {
  CloudApi::Parts parts;
  parts.vendor = "Lambda";
  parts.endpoint = access.endpoint;
  parts.authorize = [key = access.key](HttpRequest& request) {
    request.headers.push_back({"Authorization", "Bearer " + key.reveal()});
  };
  parts.meaning = meaning;
  parts.pace = {1000ms, 12s};
  parts.patience = patience;
  return parts;
}

// Every good answer is {"data": ...}.
Result<json> data_of(const Result<std::string>& body, const char* what) {
  if (!body) return body.error();
  Result<json> parsed = parse_json(*body, what);
  if (!parsed) return parsed;
  const json& data = member(*parsed, "data");
  if (data.is_null()) return Error{ErrorKind::corrupt, std::string(what) + " has no data"};
  return json(data);
}

void add_offers(const std::string& name, const json& entry, std::vector<Offer>& offers) {
  const json& type = member(entry, "instance_type");
  const json& specs = member(type, "specs");
  const std::optional<double> price_cents = number_of(type, "price_cents_per_hour");
  if (!price_cents || *price_cents < 0) return;
  const std::string description = text_at(type, "gpu_description");
  Offer offer;
  offer.provider = "lambda";
  offer.cloud = "lambda";
  offer.instance_type = name;
  offer.price = {cents(std::llround(*price_cents)), kBillingStep};
  offer.gpu_count = count_of(specs, "gpus");
  if (offer.gpu_count > 0) offer.gpu = gpu_model(description);
  offer.vram_gb = memory_in_name_gb(description);
  offer.vcpus = count_of(specs, "vcpus");
  offer.memory_gb = count_of(specs, "memory_gib");
  offer.disk_gb = count_of(specs, "storage_gib");
  // The documents name the form, not the bridge; what is soldered to an NVSwitch board has it.
  if (description.find("SXM") != std::string::npos) offer.nvlink = offer.gpu_count > 1;
  if (description.find("PCIe") != std::string::npos) offer.nvlink = false;
  for (const json& region : list_of(entry, "regions_with_capacity_available")) {
    offer.region = text_at(region, "name");
    offer.country = text_at(region, "description");
    offers.push_back(offer);
  }
}

std::string tag_of(const json& instance, std::string_view key) {
  for (const json& tag : list_of(instance, "tags")) {
    if (text_at(tag, "key") == key) return text_at(tag, "value");
  }
  return {};
}

InstanceState state_of(const std::string& status) {
  if (status == "booting") return InstanceState::pending;
  if (status == "terminating") return InstanceState::terminating;
  if (status == "terminated") return InstanceState::gone;
  if (status == "preempted") return InstanceState::failed;
  return InstanceState::running;  // "active", "unhealthy"; a new word costs money until it is known
}

Instance instance_of(const json& from, WallTime now) {
  Instance instance;
  instance.id = text_at(from, "id");
  instance.run_id = tag_of(from, kRunTag);
  if (instance.run_id.empty()) instance.run_id = run_of_name(text_at(from, "name"));
  instance.state = state_of(text_at(from, "status"));
  const std::string created = tag_of(from, kCreatedTag);
  instance.created_at = now;
  if (!created.empty()) {
    const json holder = {{"at", created}};
    instance.created_at = WallTime(
        std::chrono::seconds(static_cast<std::int64_t>(number_of(holder, "at").value_or(0))));
  }
  const json& type = member(from, "instance_type");
  instance.price = {cents(std::llround(number_of(type, "price_cents_per_hour").value_or(0))),
                    kBillingStep};
  instance.address = text_at(from, "ip");
  instance.ssh_user = "ubuntu";
  instance.detail = text_at(from, "status");
  return instance;
}

std::string seconds_since_epoch(WallTime time) {
  return std::to_string(
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

}  // namespace

LambdaProvider::LambdaProvider(std::unique_ptr<HttpClient> http, Clock& clock,
                               const CloudAccess& access, const ApiPatience& patience)
    : clock_(clock), access_(access), api_(std::move(http), clock, parts(access, patience)) {}

Result<std::vector<Offer>> LambdaProvider::offers() {
  const auto types = data_of(api_.read("/instance-types"), "Lambda's list of types");
  if (!types) return types.error();
  if (!types->is_object()) {
    return Error{ErrorKind::corrupt, "Lambda's list of types is no map of names"};
  }
  std::vector<Offer> offers;
  for (const auto& [name, entry] : types->items()) add_offers(name, entry, offers);
  std::stable_sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) {
    return a.price.per_hour < b.price.per_hour;
  });
  return offers;
}

// Exactly one key must be named; the account's with this material, added where there is none.
Result<std::string> LambdaProvider::key_name(const std::string& public_key) {
  if (public_key.empty()) {
    return Error{ErrorKind::usage, "Lambda makes no machine without an SSH key"};
  }
  const auto keys = data_of(api_.read("/ssh-keys"), "Lambda's list of keys");
  if (!keys) return keys.error();
  if (keys->is_array()) {
    for (const json& key : *keys) {
      if (key_material(text_at(key, "public_key")) == key_material(public_key)) {
        return text_at(key, "name");
      }
    }
  }
  // The name holds the key's own hash: a name that is taken would be taken by the same key.
  const std::string name = "mayfly-" + sha256_hex(key_material(public_key)).substr(0, 12);
  const json body = {{"name", name}, {"public_key", public_key}};
  const Result<std::string> added = api_.repeat("POST", "/ssh-keys", json_line(body));
  if (!added) return added.error();
  return name;
}

CreateOutcome LambdaProvider::create(const InstanceSpec& spec) {
  if (spec.user_data.size() > kUserDataMostBytes) {
    return failed_outcome({ErrorKind::refused, "the user data is longer than 1 MB"});
  }
  const Result<std::string> key = key_name(spec.ssh_public_key);
  if (!key) {
    // Nothing was asked that costs money, whatever became of the key.
    Error error = while_doing("preparing the SSH key", key.error());
    if (error.kind == ErrorKind::corrupt) error.kind = ErrorKind::refused;
    return failed_outcome(error);
  }
  json body = {{"region_name", spec.offer.region},
               {"instance_type_name", spec.offer.instance_type},
               {"ssh_key_names", {*key}},
               {"name", machine_name(spec)},
               {"hostname", machine_name(spec)},
               {"tags",
                {{{"key", kRunTag}, {"value", spec.run_id}},
                 {{"key", kCreatedTag}, {"value", seconds_since_epoch(clock_.now())}}}}};
  if (!spec.user_data.empty()) body["user_data"] = spec.user_data;
  const ChangeAnswer answer = api_.change("/instance-operations/launch", json_line(body));
  if (!answer.response) {
    Error error = answer.response.error();
    // Of a launch it means that the type, the region or the key is not there.
    if (error.kind == ErrorKind::not_found) error.kind = ErrorKind::refused;
    CreateOutcome outcome = failed_outcome(error, answer.ask_again_after);
    return outcome;
  }
  const auto data = data_of(answer.response->body, "Lambda's answer to launch");
  const json document = data ? *data : json();
  const json& ids = list_of(document, "instance_ids");
  if (ids.size() != 1 || !ids.front().is_string()) {
    return failed_outcome({ErrorKind::outcome_unknown, "Lambda's answer to launch has no one id"});
  }
  return made_outcome(ids.front().get<std::string>());
}

Result<std::vector<Instance>> LambdaProvider::list_ours() {
  const auto data = data_of(api_.read("/instances"), "Lambda's list of instances");
  if (!data) return data.error();
  if (!data->is_array()) return Error{ErrorKind::corrupt, "Lambda's list of instances is no list"};
  std::vector<Instance> ours;
  for (const json& from : *data) {
    Instance instance = instance_of(from, clock_.now());
    if (instance.run_id.empty() || instance.state == InstanceState::gone) continue;
    ours.push_back(std::move(instance));
  }
  return ours;
}

Result<std::vector<Instance>> LambdaProvider::find_run(const std::string& run_id) {
  Result<std::vector<Instance>> ours = list_ours();
  if (!ours) return ours;
  std::erase_if(*ours, [&](const Instance& instance) { return instance.run_id != run_id; });
  return ours;
}

Result<Instance> LambdaProvider::get(const InstanceId& id) {
  const auto data = data_of(api_.read("/instances/" + percent_encode(id)), "Lambda's instance");
  if (!data) return data.error();
  if (text_at(*data, "id") != id) {
    return Error{ErrorKind::corrupt, "Lambda answered with another instance than " + id};
  }
  return instance_of(*data, clock_.now());
}

// One id a call: a list with one unknown id fails as a whole.
Status LambdaProvider::terminate(const InstanceId& id) {
  const json body = {{"instance_ids", {id}}};
  const Result<std::string> asked =
      api_.repeat("POST", "/instance-operations/terminate", json_line(body));
  if (!asked) return asked.error();
  return Unit{};
}

ProviderTraits LambdaProvider::traits() const {
  ProviderTraits traits;
  traits.absence_is_proof = false;
  traits.second_look = 10s;
  traits.console_url = "https://cloud.lambda.ai/instances";
  return traits;
}

std::optional<DestroyCall> LambdaProvider::destroy_call() const {
  return DestroyCall{"POST",
                     access_.endpoint + "/instance-operations/terminate",
                     R"({"instance_ids":["{id}"]})",
                     {{"Authorization", Secret("Bearer " + access_.key.reveal())},
                      {"Content-Type", Secret("application/json")}}};
}

}  // namespace mayfly
