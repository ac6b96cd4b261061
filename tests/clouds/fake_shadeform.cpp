#include "tests/clouds/fake_shadeform.h"

#include <nlohmann/json.hpp>

#include "core/base64.h"
#include "core/provider/vendor_time.h"

namespace mayfly {

using nlohmann::json;

namespace {

const char* status_word(InstanceState state) {
  switch (state) {
    case InstanceState::pending:
      return "pending_provider";
    case InstanceState::running:
      return "active";
    case InstanceState::failed:
      return "error";
    case InstanceState::terminating:
      return "deleting";
    case InstanceState::gone:
      return "deleted";
  }
  return "active";
}

FakeAnswer refusal(int status, const json& body) {
  return {status, body.dump()};
}

}  // namespace

FakeAnswer FakeShadeform::no_capacity() const {
  return refusal(409, {{"error_code", "OUT_OF_STOCK"}, {"error", "The instance is out of stock"}});
}

FakeAnswer FakeShadeform::no_funds() const {
  return refusal(409, {{"error_code", "INSUFFICIENT_FUNDS"}, {"error", "Insufficient funds"}});
}

FakeAnswer FakeShadeform::bad_key() const {
  return refusal(401, {{"message", "Invalid API key"}});
}

Op FakeShadeform::op_of(const FakeRequest& request) const {
  const std::string& path = request.path;
  if (path.starts_with("/v1/instances/types")) return Op::offers;
  if (path == "/v1/instances/create") return Op::create;
  if (path == "/v1/instances") return Op::list;
  if (path.starts_with("/v1/sshkeys")) return Op::keys;
  if (path.ends_with("/info")) return Op::get;
  if (path.ends_with("/delete")) return Op::terminate;
  return Op::other;
}

bool FakeShadeform::knows_key(const FakeRequest& request) const {
  return request.header("X-API-KEY") == kKey;
}

std::string FakeShadeform::type_list() const {
  if (!types_answer.empty()) return types_answer;
  json rows = json::array();
  for (const FakeType& type : types) {
    json places = json::array();
    for (const std::string& region : type.regions) {
      places.push_back({{"region", region}, {"available", true}, {"display_name", "Canada"}});
    }
    places.push_back({{"region", "sold-out"}, {"available", false}, {"display_name", "US"}});
    rows.push_back(
        {{"cloud", "hyperstack"},
         {"shade_instance_type", type.type},
         {"cloud_instance_type", "gpu_" + type.type},
         {"hourly_price", type.cents_per_hour},
         {"deployment_type", "vm"},
         {"configuration",
          {{"memory_in_gb", 180},
           {"storage_in_gb", 850},
           {"vcpus", 28},
           {"num_gpus", type.gpus},
           {"gpu_type", type.gpu},
           {"interconnect", "sxm5"},
           {"nvlink", type.gpus > 1},
           {"vram_per_gpu_in_gb", type.vram_gb},
           {"gpu_manufacturer", "nvidia"},
           {"os_options", {"ubuntu20.04_cuda12.0_shade_os", "ubuntu22.04_cuda12.2_shade_os"}}}},
         {"availability", places},
         {"boot_time", {{"min_boot_in_sec", 180}, {"max_boot_in_sec", 300}}}});
  }
  return json{{"instance_types", rows}}.dump();
}

FakeAnswer FakeShadeform::create(const FakeRequest& request) {
  const json body = json::parse(request.body);
  for (const char* required : {"cloud", "region", "shade_instance_type", "shade_cloud", "name"}) {
    if (!body.contains(required)) return refusal(400, {{"message", "missing field"}});
  }
  const FakeType* const type = type_named(body["shade_instance_type"]);
  if (type == nullptr) return refusal(404, {{"message", "no such type"}});
  Machine& machine = fleet.add(*type, body["region"]);
  machine.name = body["name"];
  machine.notes["tags"] = body.value("tags", json::array()).dump();
  if (body.contains("auto_delete") && !fleet.forgets_limits) {
    machine.notes["auto_delete"] = body["auto_delete"].dump();
  }
  if (fleet.boots) {
    const json script = body.value(
        "/launch_configuration/script_configuration/base64_script"_json_pointer, json(""));
    const Result<std::string> text = base64_decode(script.get<std::string>());
    std::string key;
    for (const auto& [material, id] : keys_) {
      if (id == body.value("ssh_key_id", "")) key = material;
    }
    fleet.boots(machine, text ? *text : "", key);
  }
  return {200, json{{"id", machine.id}, {"cloud_assigned_id", "x-1"}}.dump()};
}

FakeAnswer FakeShadeform::serve(const FakeRequest& request) {
  const auto document = [this](Machine& machine, bool all) {
    json out = {{"id", machine.id},
                {"name", machine.name},
                {"cloud", "hyperstack"},
                {"region", machine.region},
                {"shade_instance_type", machine.type},
                {"status", status_word(fleet.state(machine))},
                {"status_details", "step 2"},
                {"hourly_price", machine.per_hour.micros / 10'000},
                {"ip", fleet.state(machine) == InstanceState::running ? machine.address : ""},
                {"ssh_user", machine.user},
                {"ssh_port", machine.port},
                {"tags", json::parse(machine.notes["tags"])},
                {"created_at", format_utc(machine.created_at)},
                {"deleted_at", nullptr}};
    if (!cost_estimate.empty()) out["cost_estimate"] = cost_estimate;
    if (all && machine.notes.count("auto_delete") != 0) {
      out["auto_delete"] = json::parse(machine.notes["auto_delete"]);
    }
    return out;
  };
  const bool one = request.op == Op::get || request.op == Op::terminate;
  const std::size_t start = std::string("/v1/instances/").size();
  Machine* const machine =
      one ? fleet.find(request.path.substr(start, request.path.rfind('/') - start)) : nullptr;
  switch (request.op) {
    case Op::offers:
      return {200, type_list()};
    case Op::create:
      return create(request);
    case Op::list: {
      json rows = json::array();
      for (Machine* shown : fleet.listed()) {
        if (fleet.state(*shown) != InstanceState::gone) rows.push_back(document(*shown, false));
      }
      return {200, json{{"instances", rows}}.dump()};
    }
    case Op::get:
      if (machine == nullptr) return refusal(404, {{"message", "not found"}});
      return {200, document(*machine, true).dump()};
    case Op::terminate:
      if (machine == nullptr) return refusal(404, {{"message", "not found"}});
      fleet.end(machine->id);
      return {200, ""};
    case Op::keys: {
      if (request.method == "POST") {
        const json key = json::parse(request.body);
        keys_[key["public_key"]] = "key-" + std::to_string(keys_.size() + 1);
        return {200, json{{"id", keys_[key["public_key"]]}}.dump()};
      }
      json rows = json::array();
      for (const auto& [material, key] : keys_) {
        rows.push_back({{"id", key}, {"name", "k"}, {"public_key", material}});
      }
      return {200, json{{"ssh_keys", rows}}.dump()};
    }
    case Op::other:
      break;
  }
  return refusal(404, {{"message", "no such call"}});
}

}  // namespace mayfly
