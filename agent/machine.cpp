#include "agent/machine.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include "agent/checkpoint_bytes.h"
#include "agent/host_state.h"
#include "agent/kept_secrets.h"
#include "agent/layers_seen.h"
#include "agent/report.h"
#include "agent/run_logs.h"
#include "agent/self_test.h"
#include "agent/state_json.h"
#include "agent/upload_folder.h"
#include "core/atomic_file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/process_table.h"

namespace mayfly {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr auto kReportEvery = 2s;
constexpr auto kLookAtLayersEvery = 20s;
constexpr const char* kHubTest = "self-test";  // the label of a task without files
// Keys are sorted, so this tells a memory from a decision in the reserve.
constexpr std::string_view kMemoryBegins = "{\"age_ms\":";
constexpr auto kHostPatience = 5s;  // for nvidia-smi, of a run that has failed

std::optional<AgentMemory> parse_memory(const std::string& text, const std::string& run_id) {
  const Result<nlohmann::json> json = parse_json(text, "the agent's state");
  const Result<AgentMemory> memory =
      json ? memory_from_json(*json) : Result<AgentMemory>(json.error());
  if (!memory) {
    log_error("a saved state cannot be used: " + memory.error().message);
    return std::nullopt;
  }
  // A run directory that was used before by another run (a new launch of the same name).
  if (memory->run_id != run_id) return std::nullopt;
  return *memory;
}

// The newest that was saved: state.json, or what went to the reserve when the disk refused that.
std::optional<AgentMemory> read_memory(const RunDirectory& run, const ReserveFile& reserve,
                                       const std::string& run_id) {
  std::optional<AgentMemory> newest;
  const auto consider = [&](const std::string& text) {
    auto memory = parse_memory(text, run_id);
    if (memory && (!newest || memory->mark.age > newest->mark.age)) newest = std::move(memory);
  };
  if (const Result<std::string> text = read_file(run.agent_state())) consider(*text);
  for (const std::string& line : reserve.lines()) {
    if (line.starts_with(kMemoryBegins)) consider(line);
  }
  return newest;
}

}  // namespace

Machine::Machine(MachineParts parts)
    : parts_(std::move(parts)),
      run_{parts_.plan.run_dir},
      reserve_(run_.agent() / "reserve"),
      journal_(run_.decisions(), reserve_),
      events_(run_.events()),
      checkpoints_(run_),
      trainer_(parts_.trainer_program, run_, parts_.trainer_unit),
      fetcher_(parts_.plan, run_, parts_.fetch) {
  const auto memory = read_memory(run_, reserve_, parts_.plan.run_id);
  if (memory) remembered_ = memory->state;
  // A life of this boot goes on from its own mark, whatever the wall clock says.
  FirstAge first;
  if (!memory || memory->mark.boot_id != boot_id()) first = parts_.first_age();
  age_.emplace(parts_.clock.now() - first.age, memory ? std::optional(memory->mark) : std::nullopt,
               boot_id(), parts_.clock);
  if (!first.alarm.empty()) {
    log_warn(first.alarm);
    remembered_.warnings.push_back(first.alarm);
  }
  if (!memory) {
    remembered_.entered_at = age_->age();
    remembered_.progress_at = age_->age();
    remembered_.trainer_progress_at = age_->age();
    remembered_.status_sent_at = age_->age();
  }
  trainer_.adopt();
  look_at_instance();  // it may be on its end already
  if (!parts_.metadata_service.empty()) reclaim_.emplace(parts_.metadata_service);
  for (Store* const sink : parts_.sinks) {
    uploads_.push_back(std::make_unique<UploadQueue>(*sink, parts_.clock));
  }
}

AgentState Machine::remembered_state() const {
  return remembered_;
}

Age Machine::age() const {
  return age_->age();
}

// The trainer first and its events after: what it wrote before its end is then among them.
Observation Machine::observe() {
  Observation seen;
  seen.trainer = trainer_.view();
  seen.now = parts_.clock.now();
  seen.age = age_->age();
  seen.agent_started = std::exchange(first_look_, false);
  if (Result<std::vector<Event>> events = events_.read_new()) seen.events = *std::move(events);
  seen.fetch = fetcher_.view();
  take_upload_results(seen);
  seen.self_tests = self_tests_;
  seen.requests = waiting_requests(run_);
  seen.terminations = std::exchange(terminations_, 0);
  seen.reclaim_notice = reclaim_ && reclaim_->noticed();
  if (seen.trainer.kind != TrainerView::Kind::running) {
    seen.newest_checkpoint = checkpoints_.newest();
  }
  seen.fuse_moved = std::exchange(fuse_moved_, std::nullopt);
  seen.destroy = std::exchange(destroy_, std::nullopt);
  seen.instance = std::exchange(instance_, std::nullopt);
  return seen;
}

Status Machine::note(const std::string& decision) {
  return journal_.append(decision);
}

Status Machine::save(const AgentState& state) {
  const AgentMemory memory{parts_.plan.run_id, age_->mark(), state};
  const std::string text = json_line(memory_to_json(memory));
  const Status saved = write_file(run_.agent_state(), text + "\n");
  if (saved) return saved;
  return reserve_.append(sealed_line(text)) ? Status(Unit{}) : saved;
}

void Machine::act(const Action& action, const AgentState& state) {
  switch (action.kind) {
    case ActionKind::start_self_tests:
      return start_self_tests();
    case ActionKind::start_fetch:
      return fetcher_.start();
    case ActionKind::start_trainer:
      if (const Status started = trainer_.start(); !started) log_error(started.error().message);
      return;
    case ActionKind::signal_trainer:
      return trainer_.send(action.signal);
    case ActionKind::send_upload:
      return send_upload(action);
    case ActionKind::release_checkpoint: {
      const fs::path marks = run_.agent() / "uploaded";
      Status done = make_folders(marks);
      if (done) done = write_file(marks / fs::path(action.folder).filename(), "");
      if (!done) log_error("cannot release " + action.folder + ": " + done.error().message);
      return;
    }
    case ActionKind::send_logs:
      return send_logs(state, true);
    case ActionKind::send_status:
      return send_logs(state, false);
    case ActionKind::close_request:
      return close_request(run_, *action.request);
    case ActionKind::move_fuse:
      return move_fuse(action.fuse_at);
    case ActionKind::ask_destroy:
      return ask_destroy();
    case ActionKind::look_at_instance:
      return look_at_instance();
    case ActionKind::write_receipt: {
      const Status written =
          write_receipt(run_, make_receipt(parts_.plan, parts_.instance, parts_.policy, state,
                                           parts_.created_at, age_->age()));
      if (!written) log_error("cannot write the receipt: " + written.error().message);
      return;
    }
  }
}

void Machine::take_upload_results(Observation& seen) {
  for (std::size_t sink = 0; sink < uploads_.size(); ++sink) {
    for (UploadResult& result : uploads_[sink]->take_results()) {
      result.sink = static_cast<int>(sink);
      seen.uploads.push_back(std::move(result));
    }
  }
  for (UploadResult& result : std::exchange(local_results_, {})) {
    seen.uploads.push_back(std::move(result));
  }
  std::erase_if(seen.uploads, [&](const UploadResult& result) {
    if (result.label != kHubTest) return false;
    self_tests_.results.push_back({"hub", result.error});
    self_tests_.kind = SelfTestView::Kind::done;
    return true;
  });
}

// The hub is asked by the uploads' thread, which makes the repository if need be.
void Machine::start_self_tests() {
  self_tests_ = {SelfTestView::Kind::running,
                 {test_destroy_right(parts_.provider, parts_.instance, parts_.plan.run_id),
                  test_disk(run_.root, checkpoint_bytes(parts_.plan, run_)), test_fuse()}};
  if (uploads_.empty()) {
    self_tests_.kind = SelfTestView::Kind::done;
    return;
  }
  uploads_.front()->push({.label = kHubTest, .branch = "main", .summary = "", .files = {}});
}

void Machine::fail_upload(const std::string& label, int sink, Error error) {
  UploadResult result{label, {}, {}, std::move(error)};
  result.sink = sink;
  local_results_.push_back(std::move(result));
}

// What was written down by a life with more places than there are now goes to the last.
UploadQueue& Machine::queue_of(int sink) {
  return *uploads_[std::min(static_cast<std::size_t>(sink), uploads_.size() - 1)];
}

void Machine::send_upload(const Action& action) {
  const auto fail = [&](Error error) { fail_upload(action.label, action.sink, std::move(error)); };
  if (uploads_.empty()) return fail({ErrorKind::invalid_config, "there is no hub"});
  Result<std::vector<StoreUpload>> files =
      freeze_folder(run_, action.folder, action.label, parts_.plan.config.hub.optimizer_state);
  if (!files) return fail(files.error());
  queue_of(action.sink)
      .push({.label = action.label,
             .branch = action.label,
             .summary = parts_.plan.run_name + ": " + action.label + " from " + action.folder,
             .files = *std::move(files),
             .urgent = !action.label.starts_with("checkpoint-")});
}

void Machine::send_logs(const AgentState& state, bool everything) {
  const std::string label = everything ? "logs" : "status";
  if (uploads_.empty()) {
    return fail_upload(label, 0, {ErrorKind::invalid_config, "there is no hub"});
  }
  report(state);
  Result<std::vector<StoreUpload>> files =
      everything ? collect_logs(run_, parts_.plan.run_name, parts_.secrets)
                 : collect_status(run_, parts_.plan.run_name, parts_.secrets);
  if (!files) return fail_upload(label, 0, files.error());
  const bool failed = state.reason == StopReason::failed || state.reason == StopReason::stalled;
  if (everything && failed) {
    const Result<StoreUpload> error_log = collect_error_log(
        run_,
        {.utc = format_utc(parts_.clock.now()),
         .phase = std::string(enum_name(parts_.plan.config.phase)),
         .reason = state.detail,
         .config_hash = plan_hash(parts_.plan),
         .host = host_state({run_.root, fs::temp_directory_path(), "/dev/shm"}, kHostPatience)},
        parts_.secrets);
    if (error_log) files->push_back(*error_log);
  }
  // Where the work went, for whoever looks for the one looks for the other beside it.
  const int sink = state.uploads.empty() ? 0 : state.uploads.back().sink;
  queue_of(sink).push({.label = label,
                       .branch = "main",
                       .summary = parts_.plan.run_name + ": " + label,
                       .files = *std::move(files),
                       .rank = everything ? CommitRank::logs : CommitRank::status});
}

// cloud-init/fuse.sh adds what stands in this file to the deadline it was armed with.
void Machine::move_fuse(Age hard_deadline) {
  const char* root = std::getenv("MAYFLY_ROOT");
  const fs::path file = fs::path(root == nullptr ? "/" : root) / "var/lib/mayfly/extended";
  const Age planned = first_deadline(parts_.policy.limit).destroy_at;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(hard_deadline - planned);
  const Status written = write_file(file, std::to_string(seconds.count()) + "\n");
  fuse_moved_ = written ? written : Status(while_doing("moving the fuse", written.error()));
}

void Machine::ask_destroy() {
  forget_secrets(parts_.kept_secrets);  // nothing is uploaded any more, by no life after a reboot
  const Status asked = parts_.provider.terminate(parts_.instance);
  // An instance that the provider does not know any more is what was wanted.
  const bool unknown = !asked && asked.error().kind == ErrorKind::not_found;
  destroy_ = DestroyAnswer{asked || unknown, asked ? "accepted" : asked.error().message};
  if (!destroy_->accepted) log_error("destroying failed, asking again: " + destroy_->text);
}

void Machine::look_at_instance() {
  const Result<Instance> instance = parts_.provider.get(parts_.instance);
  if (instance) {
    instance_ = Result<InstanceState>(instance->state);
  } else {
    instance_ = Result<InstanceState>(instance.error());
  }
}

// The watchdog starts a moment before the agent, and the fuse ticks every 30 s: so not once for
// all.
void Machine::look_at_layers(SteadyTime now) {
  if (layers_seen_at_ && now - *layers_seen_at_ < kLookAtLayersEvery) return;
  layers_seen_at_ = now;
  layers_ = layers_seen(planned_layers(parts_.plan.offer.provider, {}), layer_evidence());
}

void Machine::report(const AgentState& state) {
  RunStatus status = make_status(parts_.plan, parts_.instance, parts_.policy, state,
                                 parts_.created_at, parts_.clock.now(), age_->age());
  std::string changed = status.state + status.reason + std::to_string(status.step) +
                        std::to_string(status.exit_code.value_or(-1));
  for (const UploadReport& upload : status.uploads) changed += upload.state;
  const SteadyTime now = parts_.clock.steady_now();
  if (reported_at_ && now - *reported_at_ < kReportEvery && changed == reported_) return;
  reported_at_ = now;
  reported_ = changed;
  look_at_layers(now);
  status.layers = layers_;
  // Not worth a sync: the next one comes in seconds. A reader sees the old one or the new one.
  const fs::path fresh = run_.status().string() + ".new";
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out << json_text(status_to_json(status));
    if (!out.flush()) return;
  }
  std::error_code ignored;
  fs::rename(fresh, run_.status(), ignored);
}

void Machine::add_termination() {
  ++terminations_;
}

}  // namespace mayfly
