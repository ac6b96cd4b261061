#include "tests/clouds/fake_ec2.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "core/http/sigv4.h"
#include "core/http/xml_text.h"
#include "core/provider/vendor_time.h"
#include "core/sha256.h"
#include "core/url.h"

namespace mayfly {

using nlohmann::json;

namespace {

using Form = std::map<std::string, std::string>;

constexpr const char* kDiskField = "BlockDeviceMapping.1.Ebs.VolumeSize";
constexpr int kSnapshotGb = 65;

Form form_of(const std::string& body) {
  Form form;
  std::size_t at = 0;
  while (at < body.size()) {
    const std::size_t end = std::min(body.find('&', at), body.size());
    const std::string pair = body.substr(at, end - at);
    const std::size_t equals = pair.find('=');
    const auto value = percent_decode(equals == std::string::npos ? "" : pair.substr(equals + 1));
    form[pair.substr(0, equals)] = value ? *value : "";
    at = end + 1;
  }
  return form;
}

std::string field(const Form& form, const std::string& name) {
  const auto found = form.find(name);
  return found == form.end() ? "" : found->second;
}

// "Credential=AKID/20260101/r1/ec2/aws4_request" of the Authorization header.
AwsScope scope_of(const FakeRequest& request) {
  const std::string header = request.header("Authorization");
  std::vector<std::string> parts;
  std::string part;
  for (const char letter : header.substr(0, header.find(','))) {
    if (letter == '/') {
      parts.push_back(std::exchange(part, ""));
    } else {
      part += letter;
    }
  }
  return parts.size() < 4 ? AwsScope{} : AwsScope{parts[2], parts[3]};
}

std::string tag(const std::string& name, const std::string& value) {
  return "<" + name + ">" + xml_escape(value) + "</" + name + ">";
}

FakeAnswer reply(const std::string& action, const std::string& inside) {
  return {200,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" + action +
              "Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r-1"
              "</requestId>" +
              inside + "</" + action + "Response>",
          {},
          "text/xml"};
}

std::pair<int, const char*> state_words(InstanceState state) {
  switch (state) {
    case InstanceState::pending:
      return {0, "pending"};
    case InstanceState::running:
      return {272, "running"};  // the high byte is the vendor's own
    case InstanceState::failed:
      return {80, "stopped"};
    case InstanceState::terminating:
      return {32, "shutting-down"};
    case InstanceState::gone:
      return {48, "terminated"};
  }
  return {16, "running"};
}

}  // namespace

FakeAnswer FakeEc2::refusal(int status, const std::string& code, const std::string& message) {
  return {status,
          "<?xml version=\"1.0\"?><Response><Errors><Error>" + tag("Code", code) +
              tag("Message", message) + "</Error></Errors><RequestID>r-1</RequestID></Response>",
          {},
          "text/xml"};
}

Usd FakeEc2::beside(int disk_gb) {
  constexpr double kGbMonth = 152'000, kHoursAMonth = 24 * 30, kAddress = 5'000;
  return Usd{static_cast<std::int64_t>(std::ceil(disk_gb * kGbMonth / kHoursAMonth + kAddress))};
}

FakeAnswer FakeEc2::no_capacity() const {
  return refusal(500, "InsufficientInstanceCapacity", "There is no capacity in this zone.");
}

FakeAnswer FakeEc2::no_funds() const {
  return refusal(400, "Blocked", "This account is currently blocked.");
}

FakeAnswer FakeEc2::bad_key() const {
  return refusal(401, "AuthFailure", "AWS was not able to validate the provided credentials");
}

FakeAnswer FakeEc2::busy(int retry_after_seconds) const {
  FakeAnswer answer = refusal(503, "RequestLimitExceeded", "Request limit exceeded.");
  if (retry_after_seconds > 0) {
    answer.headers.push_back({"Retry-After", std::to_string(retry_after_seconds)});
  }
  return answer;
}

Op FakeEc2::op_of(const FakeRequest& request) const {
  if (!request.header("X-Amz-Target").empty()) return Op::other;
  const Form form = form_of(request.body);
  const std::string action = field(form, "Action");
  if (action == "DescribeInstanceTypes") return Op::offers;
  if (action == "RunInstances") return Op::create;
  if (action == "DescribeInstances") return form.count("InstanceId.1") ? Op::get : Op::list;
  if (action == "TerminateInstances") return Op::terminate;
  if (action == "ImportKeyPair") return Op::keys;
  return Op::other;
}

// The request signed anew with the key that is right must come out the same.
bool FakeEc2::knows_key(const FakeRequest& request) const {
  HttpRequest again;
  again.method = request.method;
  again.url = origin() + request.path;
  const std::string authorization = request.header("Authorization");
  const auto start = authorization.find("SignedHeaders=");
  const auto end = authorization.find(',', start);
  if (start == std::string::npos || end == std::string::npos) return false;
  std::string names = authorization.substr(start + 14, end - start - 14) + ";";
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t stop = names.find(';', at);
    const std::string name = names.substr(at, stop - at);
    if (name != "host" && name != "x-amz-date")
      again.headers.push_back({name, request.header(name)});
    at = stop + 1;
  }
  std::string date = request.header("X-Amz-Date");  // 20260101T120000Z
  if (date.size() != 16) return false;
  date = date.substr(0, 4) + "-" + date.substr(4, 2) + "-" + date.substr(6, 5) + ":" +
         date.substr(11, 2) + ":" + date.substr(13);
  const auto signed_at = parse_vendor_time(date);
  if (!signed_at) return false;
  sign_v4(again, {"AKIDEXAMPLE", Secret(kKey), {}}, scope_of(request), *signed_at,
          sha256_hex(request.body));
  for (const HttpHeader& header : again.headers) {
    if (same_header_name(header.name, "Authorization")) return header.value == authorization;
  }
  return false;
}

FakeAnswer FakeEc2::run(const FakeRequest& request) {
  const Form form = form_of(request.body);
  const std::string token = field(form, "ClientToken");
  if (token.size() > 64) return refusal(400, "InvalidParameterValue", "ClientToken is too long");
  const auto before = tokens_.find(token);
  if (!token.empty() && before != tokens_.end() && before->second.first != request.body) {
    return refusal(400, "IdempotentParameterMismatch",
                   "Arguments on this idempotent request are "
                   "inconsistent with its earlier use");
  }
  const FakeType* const type = type_named(field(form, "InstanceType"));
  if (type == nullptr) return refusal(400, "InvalidParameterValue", "no such type");
  if (field(form, "ImageId") != "ami-new") return refusal(400, "InvalidAMIID.NotFound", "no");
  if (std::atoi(field(form, kDiskField).c_str()) < kSnapshotGb) {
    return refusal(400, "InvalidBlockDeviceMapping",
                   "Volume of size is smaller than snapshot, expect size >= 65GB");
  }
  std::string id;
  if (before != tokens_.end()) {
    id = before->second.second;
  } else {
    Machine& machine = fleet.add(*type, scope_of(request).region);
    machine.name = field(form, "TagSpecification.1.Tag.1.Value");
    machine.per_hour.micros += beside(std::atoi(field(form, kDiskField).c_str())).micros;
    for (const auto& [name, value] : form) {
      if (name.starts_with("TagSpecification.1.Tag.") && name.ends_with(".Key")) {
        machine.notes["tag " + value] = field(form, name.substr(0, name.size() - 3) + "Value");
      }
    }
    machine.notes["shutdown"] =
        fleet.forgets_limits ? "stop" : field(form, "InstanceInitiatedShutdownBehavior");
    if (fleet.boots) {
      const Result<std::string> text = base64_decode(field(form, "UserData"));
      fleet.boots(machine, text ? *text : "", keys_[field(form, "KeyName")]);
    }
    tokens_[token] = {request.body, machine.id};
    id = machine.id;
  }
  return reply("RunInstances", "<reservationId>r-1</reservationId><instancesSet><item>" +
                                   tag("instanceId", id) + "</item></instancesSet>");
}

std::string FakeEc2::instance_xml(Machine& machine) {
  const auto [code, word] = state_words(fleet.state(machine));
  std::string tags;
  for (const auto& [name, value] : machine.notes) {
    if (!name.starts_with("tag ")) continue;
    tags += "<item>" + tag("key", name.substr(4)) + tag("value", value) + "</item>";
  }
  const bool runs = fleet.state(machine) == InstanceState::running;
  return "<item>" + tag("instanceId", machine.id) + "<instanceState>" +
         tag("code", std::to_string(code)) + tag("name", word) + "</instanceState>" +
         tag("launchTime", format_utc(machine.created_at)) +
         (runs ? tag("ipAddress", machine.address) : "") + "<networkInterfaceSet><item>" +
         tag("networkInterfaceId", "eni-1") + "<attachment>" + tag("status", "attached") +
         "</attachment></item></networkInterfaceSet><tagSet>" + tags + "</tagSet></item>";
}

FakeAnswer FakeEc2::describe(const FakeRequest& request) {
  const Form form = form_of(request.body);
  const std::string region = scope_of(request).region;
  const std::string id = field(form, "InstanceId.1");
  const std::string filter = field(form, "Filter.1.Name");
  std::string items;
  bool found = false;
  for (Machine* machine : fleet.listed()) {
    if (machine->region != region || (!id.empty() && machine->id != id)) continue;
    found = true;
    const auto run = machine->notes.find("tag mayfly-run");
    if (filter == "tag-key" && run == machine->notes.end()) continue;
    if (filter.starts_with("tag:") &&
        (run == machine->notes.end() || run->second != field(form, "Filter.1.Value.1"))) {
      continue;
    }
    items += "<item>" + tag("reservationId", "r-1") + "<groupSet/><instancesSet>" +
             instance_xml(*machine) + "</instancesSet></item>";
  }
  if (!id.empty() && !found) {
    return refusal(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
  }
  return reply("DescribeInstances", "<reservationSet>" + items + "</reservationSet>");
}

FakeAnswer FakeEc2::describe_types(const FakeRequest& request) const {
  const Form form = form_of(request.body);
  const std::string token = field(form, "NextToken");
  const auto page = static_cast<std::size_t>(token.empty() ? 0 : std::stoi(token));
  std::string items = "<item>" + tag("instanceType", "g9.without") + "</item>";
  for (std::size_t i = 0; i < types.size(); ++i) {
    const FakeType& type = types[i];
    const bool here = std::find(type.regions.begin(), type.regions.end(),
                                scope_of(request).region) != type.regions.end();
    if (!here || i % static_cast<std::size_t>(pages) != page) continue;
    items += "<item>" + tag("instanceType", type.type) + "<vCpuInfo>" + tag("defaultVCpus", "96") +
             "</vCpuInfo><memoryInfo>" + tag("sizeInMiB", "1179648") +
             "</memoryInfo><gpuInfo><gpus><item>" + tag("name", type.gpu) +
             tag("manufacturer", "NVIDIA") + tag("count", std::to_string(type.gpus)) +
             "<memoryInfo>" + tag("sizeInMiB", std::to_string(type.vram_gb * 1024)) +
             "</memoryInfo></item></gpus></gpuInfo></item>";
  }
  const bool more = page + 1 < static_cast<std::size_t>(pages);
  return reply("DescribeInstanceTypes",
               "<instanceTypeSet>" + items + "</instanceTypeSet>" +
                   (more ? tag("nextToken", std::to_string(page + 1)) : ""));
}

FakeAnswer FakeEc2::spot_history(const FakeRequest& request) const {
  std::string items;
  for (const auto& [key, price_cents] : spot) {
    const std::string type = key.substr(0, key.find(' '));
    const std::string zone = key.substr(key.find(' ') + 1);
    if (zone.substr(0, zone.size() - 1) != scope_of(request).region) continue;
    const std::string price = usd_decimal(cents(price_cents));
    for (const std::string& shown : {price, std::string("99.0")}) {  // the newest comes first
      items += "<item>" + tag("instanceType", type) + tag("productDescription", "Linux/UNIX") +
               tag("spotPrice", shown) + tag("timestamp", format_utc(clock_.now())) +
               tag("availabilityZone", zone) + "</item>";
    }
  }
  return reply("DescribeSpotPriceHistory",
               "<spotPriceHistorySet>" + items + "</spotPriceHistorySet>");
}

FakeAnswer FakeEc2::prices(const FakeRequest& request) const {
  if (!tells_prices) return {400, R"({"__type":"AccessDeniedException","message":"no"})"};
  const json question = json::parse(request.body);
  const std::string region = question["Filters"][0]["Value"];
  json rows = json::array({"this is no JSON"});
  for (const FakeType& type : types) {
    if (std::find(type.regions.begin(), type.regions.end(), region) == type.regions.end()) continue;
    const json dimension = {
        {"unit", "Hrs"},
        {"pricePerUnit", {{"USD", usd_decimal(cents(type.cents_per_hour)) + "00000000"}}}};
    rows.push_back(
        json{{"product", {{"attributes", {{"instanceType", type.type}, {"regionCode", region}}}}},
             {"terms", {{"OnDemand", {{"X.Y", {{"priceDimensions", {{"X.Y.Z", dimension}}}}}}}}}}
            .dump());
  }
  return {200, json{{"FormatVersion", "aws_v1"}, {"PriceList", rows}}.dump()};
}

FakeAnswer FakeEc2::serve(const FakeRequest& request) {
  if (!request.header("X-Amz-Target").empty()) return prices(request);
  const Form form = form_of(request.body);
  const std::string action = field(form, "Action");
  if (action == "RunInstances") return run(request);
  if (action == "DescribeInstances") return describe(request);
  if (action == "DescribeInstanceTypes") return describe_types(request);
  if (action == "DescribeSpotPriceHistory") return spot_history(request);
  if (action == "ImportKeyPair") {
    const Result<std::string> key = base64_decode(field(form, "PublicKeyMaterial"));
    keys_[field(form, "KeyName")] = key ? *key : "";
    return reply(action, tag("keyName", field(form, "KeyName")));
  }
  if (action == "DescribeImages") {
    return reply(action, "<imagesSet><item>" + tag("imageId", "ami-new") +
                             tag("creationDate", "2026-10-02T00:00:00.000Z") + "</item><item>" +
                             tag("imageId", "ami-old") +
                             tag("creationDate", "2026-03-01T00:00:00.000Z") +
                             "</item></imagesSet>");
  }
  if (action == "DescribeInstanceAttribute") {
    Machine* const machine = fleet.find(field(form, "InstanceId"));
    if (machine == nullptr) return refusal(400, "InvalidInstanceID.NotFound", "no");
    return reply(action, "<instanceInitiatedShutdownBehavior>" +
                             tag("value", machine->notes["shutdown"]) +
                             "</instanceInitiatedShutdownBehavior>");
  }
  if (action == "TerminateInstances") {
    const std::string id = field(form, "InstanceId.1");
    Machine* const machine = fleet.find(id);
    if (machine == nullptr || machine->region != scope_of(request).region) {
      return refusal(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    }
    fleet.end(id);
    return reply(action, "<instancesSet><item>" + tag("instanceId", id) + "</item></instancesSet>");
  }
  return refusal(400, "InvalidAction", action);
}

}  // namespace mayfly
