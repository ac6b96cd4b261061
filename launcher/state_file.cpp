#include "launcher/state_file.h"

#include <array>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/file_lock.h"
#include "core/json.h"
#include "core/log.h"

namespace mayfly {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kFormat = 1;
constexpr std::array<std::pair<LaunchStage, std::string_view>, 3> kStages = {
    std::pair{LaunchStage::planned, std::string_view("planned")},
    std::pair{LaunchStage::creating, std::string_view("creating")},
    std::pair{LaunchStage::made, std::string_view("made")}};

json to_json(const KnownRun& run) {
  std::string_view stage;
  for (const auto& [value, name] : kStages) {
    if (value == run.progress.stage) stage = name;
  }
  json object = {{"run_id", run.run_id},
                 {"name", run.name},
                 {"provider", run.provider},
                 {"created_at", format_utc(run.created_at)},
                 {"stage", stage},
                 {"attempt", run.progress.attempt},
                 {"instance_id", run.progress.id},
                 {"price_per_hour", usd_decimal(run.price.per_hour)},
                 {"billing_step_seconds", run.price.billing_step.count()},
                 {"spend_limit", usd_decimal(run.spend_limit)},
                 {"extra_minutes", run.extra_minutes},
                 {"run_dir", run.run_dir},
                 {"launcher", run.launcher},
                 {"address", run.address},
                 {"regions", run.regions},
                 {"ssh_key", run.ssh_key},
                 {"plan", run.plan},
                 {"hub_endpoint", run.hub_endpoint},
                 {"hub_repo", run.hub_repo},
                 {"gone_at", nullptr},
                 {"stop_reason", run.stop_reason},
                 {"never_created", run.never_created}};
  if (run.gone_at) object["gone_at"] = format_utc(*run.gone_at);
  return object;
}

Result<KnownRun> run_from_json(const json& object) {
  KnownRun run;
  run.run_id = object.at("run_id").get<std::string>();
  run.name = object.at("name").get<std::string>();
  run.provider = object.at("provider").get<std::string>();
  run.progress.attempt = object.at("attempt").get<int>();
  run.progress.id = object.at("instance_id").get<std::string>();
  const Result<Usd> price = parse_usd(object.at("price_per_hour").get<std::string>());
  const Result<Usd> limit = parse_usd(object.at("spend_limit").get<std::string>());
  if (!price || !limit) return price ? limit.error() : price.error();
  run.price.per_hour = *price;
  run.price.billing_step = std::chrono::seconds(object.at("billing_step_seconds").get<int>());
  run.spend_limit = *limit;
  run.extra_minutes = object.value("extra_minutes", 0.0);  // lists of before it have none
  run.run_dir = object.at("run_dir").get<std::string>();
  run.launcher = object.value("launcher", "");
  run.address = object.value("address", "");
  run.regions = object.value("regions", "");
  run.ssh_key = object.value("ssh_key", "");
  run.plan = object.at("plan").get<std::string>();
  run.hub_endpoint = object.at("hub_endpoint").get<std::string>();
  run.hub_repo = object.at("hub_repo").get<std::string>();
  run.stop_reason = object.at("stop_reason").get<std::string>();
  run.never_created = object.at("never_created").get<bool>();
  const Result<WallTime> created = parse_utc(object.at("created_at").get<std::string>());
  if (!created) return created.error();
  run.created_at = *created;
  if (!object.at("gone_at").is_null()) {
    const Result<WallTime> gone = parse_utc(object.at("gone_at").get<std::string>());
    if (!gone) return gone.error();
    run.gone_at = *gone;
  }
  const std::string stage = object.at("stage").get<std::string>();
  bool known = false;
  for (const auto& [value, name] : kStages) {
    if (name != stage) continue;
    run.progress.stage = value;
    known = true;
  }
  if (!known) return Error{ErrorKind::corrupt, "unknown stage \"" + stage + "\""};
  return run;
}

Result<std::vector<KnownRun>> read_runs(const fs::path& path) {
  const Result<std::string> text = read_file(path);
  if (!text) return text.error();
  const Result<json> document = parse_json(*text, path.string());
  if (!document) return document.error();
  std::vector<KnownRun> runs;
  try {
    if (document->at("format").get<int>() != kFormat) {
      return Error{ErrorKind::unsupported,
                   path.string() + " was written by another version of this program",
                   "use that version, or give another file with --state-file"};
    }
    for (const json& object : document->at("runs")) {
      Result<KnownRun> run = run_from_json(object);
      if (!run) return while_doing("reading " + path.string(), run.error());
      runs.push_back(std::move(*run));
    }
  } catch (const json::exception& error) {
    return Error{ErrorKind::corrupt, "reading " + path.string() + ": " + error.what()};
  }
  return runs;
}

}  // namespace

Result<std::vector<KnownRun>> StateFile::runs() const {
  Result<std::vector<KnownRun>> runs = read_runs(path_);
  if (runs) return runs;
  const fs::path backup = path_.string() + ".bak";
  if (runs.error().kind == ErrorKind::not_found && !fs::exists(backup)) {
    return std::vector<KnownRun>{};
  }
  if (runs.error().kind != ErrorKind::corrupt && runs.error().kind != ErrorKind::not_found) {
    return runs;
  }
  Result<std::vector<KnownRun>> before = read_runs(backup);
  if (!before) {
    Error error = runs.error();
    error.hint =
        "the list of runs is damaged; `status` with an empty --state-file still shows "
        "what the provider has";
    return error;
  }
  log_warn("the list of runs is damaged, the one before is used file=" + backup.string());
  return before;
}

Status StateFile::change_all(const std::function<Status(std::vector<KnownRun>&)>& change) {
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  if (const Status made = make_folders(folder); !made) return made;
  const Result<FileLock> lock = FileLock::take(path_.string() + ".lock");
  if (!lock) return lock.error();
  Result<std::vector<KnownRun>> all = runs();
  if (!all) return all.error();
  if (const Status changed = change(*all); !changed) return changed;
  // Only a readable file becomes the backup: a damaged one would displace the good one.
  if (read_runs(path_)) {
    const Result<std::string> before = read_file(path_);
    if (!before) return before.error();
    if (const Status kept = write_file(path_.string() + ".bak", *before, 0600); !kept) return kept;
  }
  json document = {{"format", kFormat}, {"runs", json::array()}};
  for (const KnownRun& run : *all) document["runs"].push_back(to_json(run));
  return write_file(path_, json_text(document) + "\n", 0600);
}

Status StateFile::add(const KnownRun& run) {
  return change_all([&run](std::vector<KnownRun>& all) -> Status {
    for (const KnownRun& other : all) {
      if (other.run_id == run.run_id) {
        return Error{ErrorKind::internal, "run id " + run.run_id + " is there already"};
      }
      if (other.name == run.name && may_be_billing(other)) {
        return Error{ErrorKind::guard, "a run named " + run.name + " is still there",
                     "look with `status`, end it with `launch down " + run.name +
                         "`, or give another --run-name"};
      }
    }
    all.push_back(run);
    return Unit{};
  });
}

Status StateFile::update(const std::string& run_id, const std::function<void(KnownRun&)>& change) {
  return change_all([&](std::vector<KnownRun>& all) -> Status {
    for (KnownRun& run : all) {
      if (run.run_id != run_id) continue;
      change(run);
      return Unit{};
    }
    return Error{ErrorKind::not_found, "run " + run_id + " is not in the list of runs"};
  });
}

Result<KnownRun> find_run(const std::vector<KnownRun>& runs, const std::string& text) {
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    if (run->name == text || run->run_id == text) return *run;
  }
  const KnownRun* found = nullptr;
  constexpr std::size_t kShortest = 4;
  for (const KnownRun& run : runs) {
    if (text.size() < kShortest || run.run_id.rfind(text, 0) != 0) continue;
    if (found != nullptr) {
      return Error{ErrorKind::usage, "several runs have an id that starts with " + text};
    }
    found = &run;
  }
  if (found != nullptr) return *found;
  std::string hint = "there are no runs";
  if (!runs.empty()) {
    hint = "there are:";
    constexpr std::size_t kShown = 5;
    const std::size_t first = runs.size() > kShown ? runs.size() - kShown : 0;
    for (std::size_t i = first; i < runs.size(); ++i) hint += " " + runs[i].name;
  }
  return Error{ErrorKind::not_found, "there is no run named " + text, hint};
}

}  // namespace mayfly
