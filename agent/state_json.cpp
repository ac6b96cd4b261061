#include "agent/state_json.h"

#include <array>

#include <nlohmann/json.hpp>

#include "core/json.h"

namespace mayfly {

using nlohmann::json;

namespace {

// How each type is written and read; the lists of fields below are used for both.
struct Writer {
  json out = json::object();

  template <class T>
  void operator()(const char* key, const T& value) {
    out[key] = to(value);
  }
  template <class T>
  static json to(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      return static_cast<int>(value);
    } else {
      return value;
    }
  }
  static json to(const Age& value) {
    return value.count();
  }
  static json to(const WallTime& value) {
    return format_utc(value);
  }
  static json to(const Usd& value) {
    return value.micros;
  }
  template <class T>
  static json to(const std::optional<T>& value) {
    return value ? to(*value) : json(nullptr);
  }
  static json to(const Progress& progress);
  static json to(const std::vector<Upload>& uploads);
};

// Throws json's exceptions on a missing key or a wrong type.
struct Reader {
  const json& from;

  template <class T>
  void operator()(const char* key, T& value) {
    get(from.at(key), value);
  }
  template <class T>
  static void get(const json& node, T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(node.get<int>());
    } else {
      value = node.get<T>();
    }
  }
  static void get(const json& node, Age& value) {
    value = Age(node.get<std::int64_t>());
  }
  static void get(const json& node, Usd& value) {
    value.micros = node.get<std::int64_t>();
  }
  static void get(const json& node, WallTime& value) {
    const Result<WallTime> time = parse_utc(node.get_ref<const std::string&>());
    if (time) value = *time;
  }
  template <class T>
  static void get(const json& node, std::optional<T>& value) {
    value.reset();
    if (node.is_null()) return;
    get(node, value.emplace());
  }
  static void get(const json& node, Progress& progress);
  static void get(const json& node, std::vector<Upload>& uploads);
};

void fields(auto& progress, auto&& field) requires
    std::is_same_v<std::remove_const_t<std::remove_reference_t<decltype(progress)>>, Progress> {
  field("stage", progress.stage);
  field("stage_done", progress.stage_done);
  field("step", progress.step);
  field("total_steps", progress.total_steps);
  field("epoch", progress.epoch);
  field("loss", progress.loss);
  field("held_out", progress.held_out);
  field("held_out_before", progress.held_out_before);
  field("tokens_per_second", progress.tokens_per_second);
  field("seconds_per_step", progress.seconds_per_step);
  field("last_step_at", progress.last_step_at);
}

void fields(auto& upload, auto&& field) requires
    std::is_same_v<std::remove_const_t<std::remove_reference_t<decltype(upload)>>, Upload> {
  field("label", upload.label);
  field("folder", upload.folder);
  field("step", upload.step);
  field("state", upload.state);
  field("sink", upload.sink);
  field("attempts", upload.attempts);
  field("retry_at", upload.retry_at);
  field("commit", upload.commit);
  field("files_sha256", upload.files_sha256);
  field("message", upload.message);
  field("at", upload.at);
}

void fields(auto& state, auto&& field) requires
    std::is_same_v<std::remove_const_t<std::remove_reference_t<decltype(state)>>, AgentState> {
  field("stage", state.stage);
  field("entered_at", state.entered_at);
  field("reason", state.reason);
  field("detail", state.detail);
  field("exit_code", state.exit_code);
  field("extra_spend", state.extra_spend);
  field("extra_time", state.extra_time);
  field("extensions", state.extensions);
  field("fuse_asked", state.fuse_asked);
  field("fetched_bytes", state.fetched_bytes);
  field("next_seq", state.next_seq);
  field("progress", state.progress);
  field("progress_at", state.progress_at);
  field("trainer_progress_at", state.trainer_progress_at);
  field("trainer_wanted", state.trainer_wanted);
  field("trainer_seen", state.trainer_seen);
  field("trainer_killed", state.trainer_killed);
  field("stall_kill", state.stall_kill);
  field("kill_when_saved", state.kill_when_saved);
  field("finished", state.finished);
  field("stopped_early", state.stopped_early);
  field("failure", state.failure);
  field("failure_kind", state.failure_kind);
  field("restarts", state.restarts);
  field("restarts_without_progress", state.restarts_without_progress);
  field("highest_step", state.highest_step);
  field("step_at_crash", state.step_at_crash);
  field("uploads", state.uploads);
  field("final_queued", state.final_queued);
  field("logs_sent", state.logs_sent);
  field("logs_done", state.logs_done);
  field("status_sent_at", state.status_sent_at);
  field("kept_until", state.kept_until);
  field("destroy_calls", state.destroy_calls);
  field("next_destroy_at", state.next_destroy_at);
  field("next_look_at", state.next_look_at);
  field("destroy_answer", state.destroy_answer);
  field("destroy_accepted_at", state.destroy_accepted_at);
  field("gone", state.gone);
  field("warnings", state.warnings);
}

template <class T>
json written(const T& value) {
  Writer writer;
  fields(value, writer);
  return std::move(writer.out);
}

json Writer::to(const Progress& progress) {
  return written(progress);
}
json Writer::to(const std::vector<Upload>& uploads) {
  json list = json::array();
  for (const Upload& upload : uploads) list.push_back(written(upload));
  return list;
}
void Reader::get(const json& node, Progress& progress) {
  fields(progress, Reader{node});
}
void Reader::get(const json& node, std::vector<Upload>& uploads) {
  uploads.clear();
  for (const json& item : node) fields(uploads.emplace_back(), Reader{item});
}

const char* trainer_word(TrainerView::Kind kind) {
  switch (kind) {
    case TrainerView::Kind::none:
      return "none";
    case TrainerView::Kind::running:
      return "running";
    case TrainerView::Kind::exited:
      return "exited";
  }
  return "";
}

// What of the observation a decision can rest on. Events stand in events.jsonl; their numbers say
// which were new.
json seen_json(const Observation& seen) {
  json out = {{"trainer", trainer_word(seen.trainer.kind)}};
  if (seen.trainer.code) out["trainer_code"] = *seen.trainer.code;
  if (seen.agent_started) out["agent_started"] = true;
  if (!seen.events.empty()) {
    out["events"] = {seen.events.front().seq, seen.events.back().seq};
  }
  if (seen.fetch.error) out["fetch_error"] = seen.fetch.error->message;
  for (const UploadResult& result : seen.uploads) {
    out["uploads"][result.label] =
        result.error ? "error: " + result.error->message : "safe at " + result.commit;
  }
  for (const Request& request : seen.requests) {
    out["requests"].push_back(std::string(request_word(request.kind)) + " by " + request.by);
  }
  if (seen.terminations > 0) out["terminations"] = seen.terminations;
  if (seen.newest_checkpoint) out["newest_checkpoint"] = seen.newest_checkpoint->folder;
  if (seen.fuse_moved) {
    out["fuse_moved"] = *seen.fuse_moved ? "yes" : seen.fuse_moved->error().message;
  }
  if (seen.destroy) out["destroy"] = seen.destroy->text;
  return out;
}

}  // namespace

json memory_to_json(const AgentMemory& memory) {
  return {{"version", 1},
          {"run_id", memory.run_id},
          {"boot_id", memory.mark.boot_id},
          {"steady_ms", memory.mark.steady.time_since_epoch().count()},
          {"age_ms", memory.mark.age.count()},
          {"state", written(memory.state)}};
}

Result<AgentMemory> memory_from_json(const json& from) {
  try {
    AgentMemory memory;
    memory.run_id = from.at("run_id");
    memory.mark.boot_id = from.at("boot_id");
    memory.mark.steady =
        SteadyTime(std::chrono::milliseconds(from.at("steady_ms").get<std::int64_t>()));
    memory.mark.age = Age(from.at("age_ms").get<std::int64_t>());
    fields(memory.state, Reader{from.at("state")});
    return memory;
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, "the agent's state: " + std::string(error.what())};
  }
}

std::string decision_line(const AgentState& before, const Observation& seen, const Step& step) {
  json actions = json::array();
  for (const Action& action : step.actions) actions.push_back(action_text(action));
  json line = {{"time", format_utc(seen.now)},
               {"age_ms", seen.age.count()},
               {"stage", stage_name(step.state.stage)},
               {"step", step.state.progress.step},
               {"progress_age_ms", (seen.age - step.state.progress_at).count()},
               {"seen", seen_json(seen)},
               {"actions", std::move(actions)}};
  if (before.stage != step.state.stage) line["from"] = stage_name(before.stage);
  if (step.state.extra_spend != before.extra_spend || step.state.extra_time != before.extra_time) {
    line["raised_by"] = {{"dollars", usd_decimal(step.state.extra_spend)},
                         {"ms", step.state.extra_time.count()}};
  }
  if (step.state.reason != StopReason::none) {
    line["reason"] = stop_reason_name(step.state.reason);
    line["detail"] = step.state.detail;
  }
  return json_line(line);
}

}  // namespace mayfly
