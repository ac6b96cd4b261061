#include "core/run/run_status.h"

#include <map>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"

namespace mayfly {

using nlohmann::json;

namespace {

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

double usd_number(Usd amount) {
  return static_cast<double>(amount.micros) / 1e6;
}
Usd usd_from(double number) {
  return {static_cast<std::int64_t>(number * 1e6 + (number < 0 ? -0.5 : 0.5))};
}

json uploads_json(const std::vector<UploadReport>& uploads) {
  json list = json::array();
  for (const UploadReport& upload : uploads) {
    list.push_back({{"label", upload.label},
                    {"state", upload.state},
                    {"step", upload.step},
                    {"commit", upload.commit},
                    {"message", upload.message},
                    {"at", upload.at ? json(format_utc(*upload.at)) : json(nullptr)}});
  }
  return list;
}

json guards_json(const std::vector<GuardReport>& guards) {
  json all = json::object();
  for (const GuardReport& guard : guards) {
    all[guard.name] = {{"limit", guard.limit},
                       {"unit", guard.unit},
                       {"left_seconds", or_null(guard.left_seconds)}};
  }
  return all;
}

json layers_json(const std::vector<Layer>& layers) {
  json all = json::object();
  for (const Layer& layer : layers) {
    all[layer.name] = {
        {"what", layer.what}, {"state", layer_state_name(layer.state)}, {"detail", layer.detail}};
  }
  return all;
}

// A missing or null key leaves `into` as it is; one of a wrong type throws json's type_error.
template <class T>
void read(const json& object, const char* key, T& into) {
  const auto found = object.find(key);
  if (found != object.end() && !found->is_null()) into = found->get<T>();
}
template <class T>
void read(const json& object, const char* key, std::optional<T>& into) {
  const auto found = object.find(key);
  if (found != object.end() && !found->is_null()) into = found->get<T>();
}
// The object at `key`, empty if there is none. Throws if it is something else.
json object_at(const json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end()) return json::object();
  return found->get<json::object_t>();
}
void read_usd(const json& object, const char* key, Usd& into) {
  double number = 0;
  read(object, key, number);
  into = usd_from(number);
}
std::optional<WallTime> read_time(const json& object, const char* key) {
  std::string text;
  read(object, key, text);
  const Result<WallTime> time = parse_utc(text);
  return time ? std::optional(*time) : std::nullopt;
}

void read_progress(const json& from, RunStatus& status) {
  read(from, "epoch", status.epoch);
  read(from, "epochs", status.epochs);
  read(from, "step", status.step);
  read(from, "total_steps", status.total_steps);
  read(from, "loss", status.loss);
  read(from, "held_out_loss", status.held_out_loss);
  read(from, "held_out_loss_before", status.held_out_loss_before);
  read(from, "tokens_per_second", status.tokens_per_second);
  read(from, "eta_seconds", status.eta_seconds);
  read(from, "last_progress_seconds", status.last_progress_seconds);
  read(from, "trainer_restarts", status.trainer_restarts);
}

void read_money(const json& spend, RunStatus& status) {
  read_usd(spend, "usd", status.spent);
  read_usd(spend, "rate_usd_per_hour", status.rate_per_hour);
  read_usd(spend, "limit_usd", status.limit);
  std::optional<double> to_finish;
  read(spend, "to_finish_usd", to_finish);
  if (to_finish) status.to_finish = usd_from(*to_finish);
}

void read_lists(const json& from, RunStatus& status) {
  std::vector<json> uploads;
  read(from, "uploads", uploads);
  for (const json& entry : uploads) {
    UploadReport upload;
    read(entry, "label", upload.label);
    read(entry, "state", upload.state);
    read(entry, "step", upload.step);
    read(entry, "commit", upload.commit);
    read(entry, "message", upload.message);
    upload.at = read_time(entry, "at");
    status.uploads.push_back(std::move(upload));
  }
  std::map<std::string, json> guards;
  read(from, "guards", guards);
  for (const auto& [name, entry] : guards) {
    GuardReport guard{.name = name, .limit = 0, .unit = {}, .left_seconds = {}};
    read(entry, "limit", guard.limit);
    read(entry, "unit", guard.unit);
    read(entry, "left_seconds", guard.left_seconds);
    status.guards.push_back(std::move(guard));
  }
  std::map<std::string, json> layers;
  read(from, "layers", layers);
  for (const auto& [name, entry] : layers) {
    Layer layer{.name = name, .what = {}, .state = LayerState::unseen, .detail = {}};
    std::string state;
    read(entry, "what", layer.what);
    read(entry, "state", state);
    read(entry, "detail", layer.detail);
    layer.state = layer_state_named(state);
    status.layers.push_back(std::move(layer));
  }
  read(from, "warnings", status.warnings);
}

}  // namespace

json status_to_json(const RunStatus& status) {
  json out;
  out["schema"] = "mayfly.status/1";
  out["run_id"] = status.run_id;
  out["name"] = status.name;
  out["time"] = format_utc(status.updated_at);
  out["phase"] = status.phase;
  out["state"] = status.state;
  out["stage"] = status.stage;
  out["reason"] = status.reason;
  out["detail"] = status.detail;
  out["exit_code"] = or_null(status.exit_code);
  out["epoch"] = status.epoch;
  out["epochs"] = status.epochs;
  out["step"] = status.step;
  out["total_steps"] = status.total_steps;
  out["loss"] = or_null(status.loss);
  out["held_out_loss"] = or_null(status.held_out_loss);
  out["held_out_loss_before"] = or_null(status.held_out_loss_before);
  out["tokens_per_second"] = status.tokens_per_second;
  out["eta_seconds"] = or_null(status.eta_seconds);
  out["last_progress_seconds"] = status.last_progress_seconds;
  out["trainer_restarts"] = status.trainer_restarts;
  out["instance"] = {{"provider", status.provider},
                     {"id", status.instance_id},
                     {"type", status.instance_type},
                     {"state", status.instance_state},
                     {"created_at", format_utc(status.created_at)}};
  out["spend"] = {
      {"usd", usd_number(status.spent)},
      {"rate_usd_per_hour", usd_number(status.rate_per_hour)},
      {"limit_usd", usd_number(status.limit)},
      {"to_finish_usd", status.to_finish ? json(usd_number(*status.to_finish)) : json(nullptr)},
      {"source", "computed"}};
  out["hub"] = {{"endpoint", status.hub_endpoint}, {"repo", status.hub_repo}};
  out["uploads"] = uploads_json(status.uploads);
  out["guards"] = guards_json(status.guards);
  out["layers"] = layers_json(status.layers);
  out["warnings"] = status.warnings;
  return out;
}

Result<RunStatus> status_from_json(const json& from) {
  RunStatus status;
  try {
    if (from.value("schema", "") != "mayfly.status/1") {
      return Error{ErrorKind::corrupt, "not a status document of the schema mayfly.status/1"};
    }
    read(from, "run_id", status.run_id);
    read(from, "name", status.name);
    read(from, "phase", status.phase);
    read(from, "state", status.state);
    read(from, "stage", status.stage);
    read(from, "reason", status.reason);
    read(from, "detail", status.detail);
    read(from, "exit_code", status.exit_code);
    read_progress(from, status);
    const json instance = object_at(from, "instance");
    read(instance, "provider", status.provider);
    read(instance, "id", status.instance_id);
    read(instance, "type", status.instance_type);
    read(instance, "state", status.instance_state);
    const auto updated = read_time(from, "time");
    const auto created = read_time(instance, "created_at");
    if (!updated || !created) return Error{ErrorKind::corrupt, "status: a time is missing"};
    status.updated_at = *updated;
    status.created_at = *created;
    read_money(object_at(from, "spend"), status);
    const json hub = object_at(from, "hub");
    read(hub, "endpoint", status.hub_endpoint);
    read(hub, "repo", status.hub_repo);
    read_lists(from, status);
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, std::string("status: ") + error.what()};
  }
  return status;
}

Result<RunStatus> read_status(const std::string& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<json> parsed = parse_json(*text, path);
  if (!parsed) return parsed.error();
  return status_from_json(*parsed);
}

}  // namespace mayfly
