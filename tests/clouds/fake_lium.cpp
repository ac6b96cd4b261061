#include "tests/clouds/fake_lium.h"

#include <nlohmann/json.hpp>

namespace mayfly {

using nlohmann::json;

namespace {

const char* status_word(InstanceState state) {
  switch (state) {
    case InstanceState::pending:
      return "PENDING";
    case InstanceState::running:
      return "RUNNING";
    case InstanceState::failed:
      return "CREATION_FAILED";
    case InstanceState::terminating:
      return "DELETING";
    case InstanceState::gone:
      return "DELETED";
  }
  return "RUNNING";
}

FakeAnswer refusal(int status, const std::string& code, const std::string& message) {
  return {status,
          json{{"error", {{"code", code}, {"message", message}, {"request_id", "r-1"}}}}.dump()};
}

FakeAnswer missing() {
  return refusal(404, "pod_not_found", "Pod not found");
}

// "type@region": one node a type and region.
std::string node_of(const std::string& type, const std::string& region) {
  return "node-" + type + "-" + region;
}

}  // namespace

FakeAnswer FakeLium::no_capacity() const {
  return refusal(400, "node_unavailable", "The node is not available.");
}

FakeAnswer FakeLium::no_funds() const {
  return refusal(403, "insufficient_balance", "insufficient balance: required 1, available 0");
}

FakeAnswer FakeLium::bad_key() const {
  return refusal(401, "invalid_api_key", "Invalid API key");
}

Op FakeLium::op_of(const FakeRequest& request) const {
  const std::string& path = request.path;
  if (path.ends_with("/rent")) return Op::create;
  if (path.starts_with("/api/executors")) return Op::offers;
  if (path == "/api/pods") return Op::list;
  if (path.starts_with("/api/pods/")) {
    return request.method == "DELETE" ? Op::terminate : Op::get;
  }
  if (path.starts_with("/api/templates")) return Op::keys;
  return Op::other;
}

bool FakeLium::knows_key(const FakeRequest& request) const {
  return request.header("X-API-KEY") == kKey;
}

std::string FakeLium::node_list() const {
  if (!nodes_answer.empty()) return nodes_answer;
  json rows = json::array();
  for (const FakeType& type : types) {
    for (const std::string& region : type.regions) {
      rows.push_back(
          {{"id", node_of(type.type, region)},
           {"machine_name", "NVIDIA " + type.gpu + " 80GB HBM3"},
           {"gpu_count", type.gpus},
           {"available_gpu_count", type.gpus},
           {"min_gpu_count_for_rental", nullptr},
           {"price_per_gpu", type.cents_per_hour / 100.0 / type.gpus},
           {"location", {{"country", "Canada"}, {"city", "Montreal"}, {"region", region}}},
           {"specs",
            {{"gpu", {{"count", type.gpus}, {"details", {{{"name", type.gpu}}}}}},
             {"cpu", {{"count", 64}}},
             {"ram", {{"total", 527957104}}},
             {"hard_disk", {{"free", 943718400}}}}},
           {"tier", "secure"},
           {"effective_upload_speed_mbps", 812.5},
           {"effective_download_speed_mbps", 930.1},
           {"nvlink", type.gpus > 1}});
    }
  }
  return rows.dump();
}

FakeAnswer FakeLium::rent(const FakeRequest& request) {
  const json body = json::parse(request.body);
  if (body.value("user_public_key", json::array()).empty()) {
    return refusal(422, "validation", "user_public_key must not be empty");
  }
  const std::string key = request.header("Idempotency-Key");
  if (const auto before = rented_.find(key); !key.empty() && before != rented_.end()) {
    return {200,
            json{{"success", true}, {"pod_id", before->second}}.dump(),
            {{"Idempotent-Replayed", "true"}}};
  }
  const std::string node = request.path.substr(15, request.path.size() - 15 - 5);
  for (const FakeType& type : types) {
    for (const std::string& region : type.regions) {
      if (node_of(type.type, region) != node) continue;
      Machine& machine = fleet.add(type, region);
      machine.name = body["pod_name"];
      if (body.contains("termination_hours") && !fleet.forgets_limits) {
        const std::chrono::hours hours(body["termination_hours"].get<int>());
        machine.notes["removal"] = format_utc(clock_.now() + hours);
      }
      if (fleet.boots) {
        fleet.boots(machine, "", body["user_public_key"][0]);
        ssh_command = "ssh root@" + machine.address + " -p " + std::to_string(machine.port);
      }
      rented_[key] = machine.id;
      json reply = {{"success", true}};
      if (says_pod_id) reply["pod_id"] = machine.id;
      return {200, reply.dump()};
    }
  }
  return refusal(404, "node_not_found", "no such node");
}

FakeAnswer FakeLium::serve(const FakeRequest& request) {
  const auto document = [this](Machine& machine) {
    const bool runs = fleet.state(machine) == InstanceState::running;
    const bool removal = machine.notes.count("removal") != 0;
    return json{{"id", machine.id},
                {"pod_name", machine.name},
                {"status", status_word(fleet.state(machine))},
                {"ssh_connect_cmd", runs ? json(ssh_command) : json(nullptr)},
                {"price", static_cast<double>(machine.per_hour.micros) / 1e6},
                {"gpu_count", "1"},
                {"created_at", format_utc(machine.created_at)},
                {"removal_scheduled_at", removal ? json(machine.notes["removal"]) : json(nullptr)}};
  };
  Machine* const machine = fleet.find(request.path.substr(request.path.rfind('/') + 1));
  switch (request.op) {
    case Op::offers:
      return {200, node_list()};
    case Op::create:
      return rent(request);
    case Op::list: {
      json rows = json::array();
      for (Machine* shown : fleet.listed()) rows.push_back(document(*shown));
      return {200, rows.dump()};
    }
    case Op::get:
      return machine == nullptr ? missing() : FakeAnswer{200, document(*machine).dump()};
    case Op::terminate:
      if (machine == nullptr) return missing();
      fleet.end(machine->id);
      return {200, "{\"success\":true}"};
    case Op::keys:
      templates += request.method == "POST" ? 1 : -1;
      return {200, json{{"id", "template-" + std::to_string(templates)}}.dump()};
    case Op::other:
      break;
  }
  return refusal(404, "not_found", "no such call");
}

}  // namespace mayfly
