#include "core/provider/local_record.h"

#include <array>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/file_lock.h"
#include "core/json.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::array kStateNames = {
    std::pair{InstanceState::pending, "pending"}, std::pair{InstanceState::running, "running"},
    std::pair{InstanceState::terminating, "terminating"}, std::pair{InstanceState::gone, "gone"},
    std::pair{InstanceState::failed, "failed"}};

const char* name_of(InstanceState state) {
  for (const auto& [value, name] : kStateNames) {
    if (value == state) return name;
  }
  return "pending";
}

Result<InstanceState> state_named(const std::string& word) {
  for (const auto& [value, name] : kStateNames) {
    if (word == name) return value;
  }
  return Error{ErrorKind::corrupt, "unknown state of an instance: " + word};
}

json to_json(const LocalRecord& record) {
  const Instance& instance = record.instance;
  json out = {{"id", instance.id},
              {"run_id", instance.run_id},
              {"attempt", record.attempt},
              {"state", name_of(instance.state)},
              {"created_at", format_utc(instance.created_at)},
              {"price_micros_per_hour", instance.price.per_hour.micros},
              {"billing_step_seconds", instance.price.billing_step.count()},
              {"address", instance.address},
              {"secrets_folder", record.secrets_folder},
              {"end_reason", record.end_reason}};
  if (instance.ended_at) out["ended_at"] = format_utc(*instance.ended_at);
  if (record.session) {
    out["session"] = {{"leader", record.session->leader},
                      {"start_ticks", record.session->start_ticks},
                      {"boot_id", record.session->boot_id}};
  }
  return out;
}

Result<LocalRecord> from_json(const json& from) {
  try {
    LocalRecord record;
    Instance& instance = record.instance;
    instance.id = from.at("id");
    instance.run_id = from.at("run_id");
    record.attempt = from.at("attempt");
    const Result<InstanceState> state = state_named(from.at("state"));
    if (!state) return state.error();
    instance.state = *state;
    const Result<WallTime> created = parse_utc(from.at("created_at").get<std::string>());
    if (!created) return created.error();
    instance.created_at = *created;
    instance.price.per_hour.micros = from.at("price_micros_per_hour");
    instance.price.billing_step = std::chrono::seconds(from.at("billing_step_seconds").get<long>());
    instance.address = from.at("address");
    record.secrets_folder = from.at("secrets_folder");
    record.end_reason = from.at("end_reason");
    if (from.contains("ended_at")) {
      const Result<WallTime> ended = parse_utc(from["ended_at"].get<std::string>());
      if (!ended) return ended.error();
      instance.ended_at = *ended;
    }
    if (from.contains("session")) {
      const json& session = from["session"];
      record.session =
          LocalSession{session.at("leader"), session.at("start_ticks"), session.at("boot_id")};
    }
    return record;
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, "instance.json: " + std::string(error.what())};
  }
}

// Whether `process` belongs to the session. A session number is not given away while a member
// lives, so a foreign process can have it only after all of ours ended and the number came round.
bool in_session(const ProcessInfo& process, const LocalSession& session, const std::string& id) {
  if (process.session != session.leader || process.start_ticks < session.start_ticks) return false;
  const auto leader = find_process(session.leader);
  if (leader) return leader->start_ticks == session.start_ticks;
  const ProcessVariable mark = process_variable(process.pid, kInstanceVariable);
  return mark.readable == Readable::no || mark.value == id;
}

}  // namespace

Result<LocalRecord> read_local_record(const fs::path& folder) {
  const fs::path path = folder / "instance.json";
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<json> parsed = parse_json(*text, path.string());
  if (!parsed) return parsed.error();
  return from_json(*parsed);
}

Result<LocalRecord> change_local_record(const fs::path& folder,
                                        const std::function<void(LocalRecord&)>& change) {
  const Result<FileLock> lock = FileLock::take(folder / "lock");
  if (!lock) return lock.error();
  Result<LocalRecord> record = read_local_record(folder);
  if (!record && record.error().kind != ErrorKind::not_found) return record.error();
  LocalRecord changed = record ? *std::move(record) : LocalRecord{};
  change(changed);
  const Status written = write_file(folder / "instance.json", json_text(to_json(changed)), 0600);
  if (!written) return written.error();
  return changed;
}

std::vector<ProcessInfo> processes_of(const LocalRecord& record) {
  std::vector<ProcessInfo> ours;
  const bool same_boot = record.session && record.session->boot_id == boot_id();
  for (const ProcessInfo& process : all_processes()) {
    if (!process.alive() || process.pid == ::getpid()) continue;
    const bool by_session = same_boot && in_session(process, *record.session, record.instance.id);
    if (by_session ||
        process_variable(process.pid, kInstanceVariable).value == record.instance.id) {
      ours.push_back(process);
    }
  }
  return ours;
}

}  // namespace mayfly
