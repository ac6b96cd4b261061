#include "tests/clouds/fake_lambda.h"

#include <regex>

#include <nlohmann/json.hpp>

namespace mayfly {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const char* status_word(InstanceState state) {
  switch (state) {
    case InstanceState::pending:
      return "booting";
    case InstanceState::running:
      return "active";
    case InstanceState::failed:
      return "preempted";
    case InstanceState::terminating:
      return "terminating";
    case InstanceState::gone:
      return "terminated";
  }
  return "active";
}

FakeAnswer refusal(int status, const std::string& code, const std::string& message) {
  return {status, json{{"error", {{"code", code}, {"message", message}}}}.dump()};
}

FakeAnswer missing() {
  return refusal(404, "global/object-does-not-exist", "Specified instance does not exist.");
}

json type_document(const FakeType& type) {
  const std::string gpus = std::to_string(type.gpus);
  return {
      {"name", type.type},
      {"description", gpus + "x " + type.gpu},
      {"gpu_description", type.gpu + " (" + std::to_string(type.vram_gb) + " GB SXM5)"},
      {"price_cents_per_hour", type.cents_per_hour},
      {"specs", {{"vcpus", 26}, {"memory_gib", 200}, {"storage_gib", 512}, {"gpus", type.gpus}}}};
}

}  // namespace

FakeAnswer FakeLambda::no_capacity() const {
  return refusal(400, "instance-operations/launch/insufficient-capacity",
                 "Not enough capacity to fulfill launch request.");
}

FakeAnswer FakeLambda::no_funds() const {
  return refusal(403, "global/account-inactive", "Your account is inactive.");
}

FakeAnswer FakeLambda::bad_key() const {
  return refusal(401, "global/invalid-api-key", "API key was invalid, expired, or deleted.");
}

Op FakeLambda::op_of(const FakeRequest& request) const {
  const std::string& path = request.path;
  if (path == "/api/v1/instance-types") return Op::offers;
  if (path == "/api/v1/instance-operations/launch") return Op::create;
  if (path == "/api/v1/instance-operations/terminate") return Op::terminate;
  if (path == "/api/v1/instances") return Op::list;
  if (path == "/api/v1/ssh-keys") return Op::keys;
  if (path.starts_with("/api/v1/instances/")) return Op::get;
  return Op::other;
}

bool FakeLambda::knows_key(const FakeRequest& request) const {
  return request.header("Authorization") == std::string("Bearer ") + kKey;
}

// One request a second, one launch in 12 seconds.
bool FakeLambda::too_fast(const FakeRequest& request) {
  const bool fast = last_ && request.at - *last_ < 1s;
  const bool launched =
      request.op == Op::create && last_launch_ && request.at - *last_launch_ < 12s;
  if (fast || launched) {
    ++limited;
    return true;
  }
  last_ = request.at;
  if (request.op == Op::create) last_launch_ = request.at;
  return false;
}

FakeAnswer FakeLambda::launch(const FakeRequest& request) {
  const json body = json::parse(request.body);
  const auto invalid = [](const std::string& why) {
    return refusal(400, "global/invalid-parameters", why);
  };
  for (const char* key : {"region_name", "instance_type_name", "ssh_key_names"}) {
    if (!body.contains(key)) return invalid(std::string(key) + " is missing");
  }
  if (body.contains("quantity")) return invalid("Requested too many instances");
  if (body["ssh_key_names"].size() != 1) return invalid("exactly one SSH key");
  if (keys_.count(body["ssh_key_names"][0]) == 0) return missing();
  if (body.value("name", "").size() > 64) return invalid("name is too long");
  if (!std::regex_match(body.value("hostname", "a"), std::regex("[a-z0-9][0-9a-z-]{0,62}"))) {
    return invalid("hostname");
  }
  for (const json& tag : body.value("tags", json::array())) {
    if (!std::regex_match(tag["key"].get<std::string>(), std::regex("[a-z][a-z0-9-:]+"))) {
      return invalid("tag key");
    }
  }
  const FakeType* const type = type_named(body["instance_type_name"]);
  if (type == nullptr) return missing();
  Machine& machine = fleet.add(*type, body["region_name"]);
  machine.name = body.value("name", "");
  machine.notes["tags"] = body.value("tags", json::array()).dump();
  if (fleet.boots)
    fleet.boots(machine, body.value("user_data", ""), keys_[body["ssh_key_names"][0]]);
  return {200, json{{"data", {{"instance_ids", {machine.id}}}}}.dump()};
}

FakeAnswer FakeLambda::terminate(const FakeRequest& request) {
  const json body = json::parse(request.body);
  const std::string id = body["instance_ids"][0];
  if (fleet.find(id) == nullptr || fleet.state(*fleet.find(id)) == InstanceState::gone) {
    return missing();
  }
  if (refused_ends > 0) {
    --refused_ends;
    return refusal(400, "instance-operations/terminate/vm-has-not-launched", "not launched yet");
  }
  fleet.end(id);
  return {
      200,
      json{{"data", {{"terminated_instances", {{{"id", id}, {"status", "terminating"}}}}}}}.dump()};
}

FakeAnswer FakeLambda::serve(const FakeRequest& request) {
  if (too_fast(request)) return busy(0);
  const auto document = [this](Machine& machine) {
    json out = {{"id", machine.id},
                {"name", machine.name},
                {"status", status_word(fleet.state(machine))},
                {"region", {{"name", machine.region}, {"description", "Canada"}}},
                {"instance_type", type_document(*type_named(machine.type))},
                {"tags", json::parse(machine.notes["tags"])}};
    if (fleet.state(machine) == InstanceState::running) out["ip"] = machine.address;
    return out;
  };
  switch (request.op) {
    case Op::offers: {
      json map = json::object();
      for (const FakeType& type : types) {
        json regions = json::array();
        for (const std::string& region : type.regions) {
          regions.push_back({{"name", region}, {"description", "Canada"}});
        }
        map[type.type] = {{"instance_type", type_document(type)},
                          {"regions_with_capacity_available", regions}};
      }
      return {200, json{{"data", map}}.dump()};
    }
    case Op::create:
      return launch(request);
    case Op::terminate:
      return terminate(request);
    case Op::list: {
      json rows = json::array();
      for (Machine* machine : fleet.listed()) rows.push_back(document(*machine));
      return {200, json{{"data", rows}}.dump()};
    }
    case Op::get: {
      Machine* const machine = fleet.find(request.path.substr(request.path.rfind('/') + 1));
      return machine == nullptr ? missing()
                                : FakeAnswer{200, json{{"data", document(*machine)}}.dump()};
    }
    case Op::keys: {
      if (request.method == "POST") {
        const json key = json::parse(request.body);
        keys_[key["name"]] = key["public_key"];
        return {200, json{{"data", {{"id", "k1"}, {"name", key["name"]}}}}.dump()};
      }
      json rows = json::array();
      for (const auto& [name, material] : keys_) {
        rows.push_back({{"id", name}, {"name", name}, {"public_key", material}});
      }
      return {200, json{{"data", rows}}.dump()};
    }
    case Op::other:
      break;
  }
  return missing();
}

}  // namespace mayfly
