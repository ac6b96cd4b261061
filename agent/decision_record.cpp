#include "agent/decision_record.h"

#include <nlohmann/json.hpp>

#include "agent/field_json.h"
#include "agent/state_fields.h"
#include "core/json.h"
#include "core/report_error.h"

namespace mayfly {

using nlohmann::json;

namespace {

json error_json(const std::optional<Error>& error) {
  if (!error) return nullptr;
  return {{"kind", error_code(error->kind)}, {"message", error->message}};
}

std::optional<Error> error_from(const json& from) {
  if (from.is_null()) return std::nullopt;
  const std::string word = from.at("kind");
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::failed); ++kind) {
    if (error_code(static_cast<ErrorKind>(kind)) == word) {
      return Error{static_cast<ErrorKind>(kind), from.at("message")};
    }
  }
  return Error{ErrorKind::internal, from.at("message")};
}

template <class T>
std::optional<Error> error_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error());
}

// ---- the state before ----

json changed_members(const AgentState& state) {
  static const json fresh = written(AgentState{});
  json changed = json::object();
  const json whole = written(state);
  for (const auto& [key, value] : whole.items()) {
    if (value != fresh.at(key)) changed[key] = value;
  }
  return changed;
}

AgentState state_from(const json& changed) {
  json whole = written(AgentState{});
  whole.update(changed);
  AgentState state;
  FieldReader::get(whole, state);
  return state;
}

// ---- the observation ----

json upload_json(const UploadResult& result) {
  return {{"label", result.label},   {"sink", result.sink},
          {"commit", result.commit}, {"files_sha256", result.files_sha256},
          {"flag", result.flag},     {"error", error_json(result.error)}};
}

UploadResult upload_from(const json& from) {
  UploadResult result;
  result.label = from.at("label");
  result.sink = from.at("sink");
  result.commit = from.at("commit");
  result.files_sha256 = from.at("files_sha256");
  result.flag = from.at("flag");
  result.error = error_from(from.at("error"));
  return result;
}

json fetch_json(const FetchView& fetch) {
  return {{"kind", static_cast<int>(fetch.kind)},
          {"bytes", fetch.bytes},
          {"what", fetch.what},
          {"error", error_json(fetch.error)}};
}

FetchView fetch_from(const json& from) {
  FetchView fetch;
  fetch.kind = static_cast<FetchView::Kind>(from.at("kind").get<int>());
  fetch.bytes = from.at("bytes");
  fetch.what = from.value("what", "");
  fetch.error = error_from(from.at("error"));
  return fetch;
}

json tests_json(const SelfTestView& tests) {
  json out = {{"kind", static_cast<int>(tests.kind)}};
  for (const SelfTest& test : tests.results) {
    out["results"].push_back({{"name", test.name}, {"error", error_json(test.error)}});
  }
  return out;
}

SelfTestView tests_from(const json& from) {
  SelfTestView tests;
  tests.kind = static_cast<SelfTestView::Kind>(from.at("kind").get<int>());
  for (const json& test : from.value("results", json::array())) {
    tests.results.push_back({test.at("name"), error_from(test.at("error"))});
  }
  return tests;
}

json seen_json(const Observation& seen, Stage stage, std::int64_t next_seq) {
  json out = {{"trainer", written(seen.trainer)}, {"fetch", fetch_json(seen.fetch)}};
  // Looked at in one stage alone, and then they stand there for ever.
  if (stage == Stage::arming) out["self_tests"] = tests_json(seen.self_tests);
  if (seen.reclaim_notice) out["reclaim_notice"] = true;
  if (seen.agent_started) out["agent_started"] = true;
  for (const Event& event : seen.events) {
    if (event.seq >= next_seq) out["events"].push_back(json::parse(event_line(event)));
  }
  for (const UploadResult& result : seen.uploads) out["uploads"].push_back(upload_json(result));
  for (const Request& request : seen.requests) out["requests"].push_back(written(request));
  if (seen.terminations > 0) out["terminations"] = seen.terminations;
  if (seen.newest_checkpoint) out["newest_checkpoint"] = written(*seen.newest_checkpoint);
  if (seen.fuse_moved) out["fuse_moved"] = error_json(error_of(*seen.fuse_moved));
  if (seen.destroy) out["destroy"] = written(*seen.destroy);
  if (seen.instance) {
    out["instance"] = {{"error", error_json(error_of(*seen.instance))}};
    if (*seen.instance) out["instance"]["state"] = static_cast<int>(**seen.instance);
  }
  return out;
}

void read_answers(const json& from, Observation& seen) {
  if (from.contains("fuse_moved")) {
    const auto error = error_from(from.at("fuse_moved"));
    seen.fuse_moved = error ? Status(*error) : Status(Unit{});
  }
  if (from.contains("destroy")) FieldReader::get(from.at("destroy"), seen.destroy.emplace());
  if (from.contains("instance")) {
    const json& instance = from.at("instance");
    const auto error = error_from(instance.at("error"));
    seen.instance =
        error ? Result<InstanceState>(*error)
              : Result<InstanceState>(static_cast<InstanceState>(instance.at("state").get<int>()));
  }
}

Observation seen_from(const json& line) {
  const json& from = line.at("seen");
  Observation seen;
  FieldReader::get(line.at("time"), seen.now);
  FieldReader::get(line.at("age_ms"), seen.age);
  seen.agent_started = from.value("agent_started", false);
  FieldReader::get(from.at("trainer"), seen.trainer);
  seen.fetch = fetch_from(from.at("fetch"));
  for (const json& event : from.value("events", json::array())) {
    Result<std::optional<Event>> parsed = parse_event(json_line(event));
    if (parsed && *parsed) seen.events.push_back(**std::move(parsed));
  }
  for (const json& result : from.value("uploads", json::array())) {
    seen.uploads.push_back(upload_from(result));
  }
  for (const json& request : from.value("requests", json::array())) {
    FieldReader::get(request, seen.requests.emplace_back());
  }
  seen.terminations = from.value("terminations", 0);
  seen.reclaim_notice = from.value("reclaim_notice", false);
  if (from.contains("self_tests")) seen.self_tests = tests_from(from.at("self_tests"));
  if (from.contains("newest_checkpoint")) {
    FieldReader::get(from.at("newest_checkpoint"), seen.newest_checkpoint.emplace());
  }
  read_answers(from, seen);
  return seen;
}

// ---- what was decided ----

json outcome_json(const Step& step) {
  json out = {{"stage", stage_name(step.state.stage)}, {"actions", json::array()}};
  for (const Action& action : step.actions) out["actions"].push_back(action_text(action));
  if (step.state.reason != StopReason::none) {
    out["reason"] = stop_reason_name(step.state.reason);
    out["detail"] = step.state.detail;
  }
  if (step.state.exit_code) out["exit_code"] = *step.state.exit_code;
  return out;
}

}  // namespace

std::string outcome_text(const Step& step) {
  return json_line(outcome_json(step));
}

std::string begin_record(const AgentPolicy& policy, std::string_view version, WallTime now,
                         Age age) {
  return json_line({{"time", format_utc(now)},
                    {"age_ms", age.count()},
                    {"begin", {{"version", version}, {"policy", written(policy)}}}});
}

std::string decision_record(const AgentState& before, const Observation& seen, const Step& step) {
  json line = outcome_json(step);
  line["time"] = format_utc(seen.now);
  line["age_ms"] = seen.age.count();
  line["step"] = step.state.progress.step;
  line["progress_age_ms"] = (seen.age - step.state.progress_at).count();
  line["seen"] = seen_json(seen, before.stage, before.next_seq);
  line["before"] = changed_members(before);
  if (before.stage != step.state.stage) line["from"] = stage_name(before.stage);
  if (step.state.extra_spend != before.extra_spend || step.state.extra_time != before.extra_time) {
    line["raised_by"] = {{"dollars", usd_decimal(step.state.extra_spend)},
                         {"ms", step.state.extra_time.count()}};
  }
  return json_line(line);
}

Result<JournalRecord> read_record(std::string_view text) {
  const Result<json> line = parse_json(text, "a line of the journal");
  if (!line) return line.error();
  try {
    JournalRecord record;
    if (line->contains("begin")) {
      const Price& price = record.begin.emplace().limit.price;
      FieldReader::get(line->at("begin").at("policy"), *record.begin);
      if (price.billing_step.count() > 0 && price.per_hour.micros >= 0) return record;
      return Error{ErrorKind::corrupt, "a line of the journal: no plan has such a price"};
    }
    DecisionRecord& decision = record.decision.emplace();
    decision.before = state_from(line->at("before"));
    decision.seen = seen_from(*line);
    json outcome = json::object();
    for (const char* key : {"stage", "actions", "reason", "detail", "exit_code"}) {
      if (line->contains(key)) outcome[key] = line->at(key);
    }
    decision.outcome = json_line(outcome);
    return record;
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, "a line of the journal: " + std::string(error.what())};
  }
}

}  // namespace mayfly
