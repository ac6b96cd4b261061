#include "agent/state.h"

#include <algorithm>
#include <cassert>
#include <csignal>

#include "agent/ending.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

// A crash that says nothing (a signal from outside) is tried more often than one with a reason.
constexpr int kRestartsUnexplained = 3;
constexpr int kRestartsExplained = 1;
constexpr std::size_t kWarningsKept = 5;
constexpr int kCorruptTries = 5;  // an upload whose listing disagrees is sent anew so often

bool is_ending(Stage stage) {
  return stage == Stage::destroying || stage == Stage::confirming;
}

// One call of advance(): the state that it changes, what it looks at, what it decides.
class Decision {
 public:
  Decision(const AgentPolicy& policy, AgentState& state, const Observation& seen,
           std::vector<Action>& actions)
      : policy_(policy),
        limits_(policy.limit.limits),
        state_(state),
        seen_(seen),
        actions_(actions) {}

  void decide() {
    if (seen_.agent_started) take_in_restart();
    take_in_events();
    take_in_fetching();
    take_in_uploads();
    take_in_requests();
    take_in_destroying();
    run_stage();
    keep_deadlines();
    if (!is_ending(state_.stage)) retry_uploads();
    if (state_.stage == Stage::destroying) ask_destroy();
  }

 private:
  // ---- what has been seen ----

  // What another life of the agent had under way is not under way any more.
  void take_in_restart() {
    state_.fetch_started = false;
    for (Upload& upload : state_.uploads) {
      if (upload.state != Upload::State::sending) continue;
      upload.state = Upload::State::waiting;
      upload.retry_at = seen_.age;
    }
    if (state_.logs_sent && !state_.logs_done) state_.logs_sent = false;
    state_.next_destroy_at = seen_.age;
    state_.next_look_at = seen_.age;
    if (state_.stage == Stage::saving && trainer_runs()) {
      // Whether that life had sent its SIGTERM is not known, and a second one would end the trainer
      // without saving. A checkpoint can be asked for twice.
      state_.kill_when_saved = true;
      actions_.push_back(Action{.kind = ActionKind::signal_trainer, .signal = SIGUSR1});
    }
  }

  void progressed(bool by_trainer) {
    state_.progress_at = seen_.age;
    if (by_trainer) state_.trainer_progress_at = seen_.age;
  }

  void take_in_events() {
    for (const Event& event : seen_.events) {
      if (event.seq < state_.next_seq) continue;  // read before, by an earlier life
      state_.next_seq = event.seq + 1;
      event_time_ = event.time;
      std::visit([&](const auto& body) { take_in(body); }, event.body);
    }
  }

  void take_in(const StartedEvent&) {
    state_.trainer_seen = true;
    state_.finished = false;
    state_.stopped_early = false;
    state_.failure.clear();
    state_.failure_kind.clear();
    state_.progress.last_step_at.reset();
    progressed(true);
  }
  void take_in(const StageEvent& event) {
    const bool grew =
        event.name != state_.progress.stage || event.done > state_.progress.stage_done;
    state_.progress.stage = event.name;
    state_.progress.stage_done = event.done;
    if (grew) progressed(true);
  }
  void take_in(const DataEvent& event) {
    state_.progress.total_steps = event.total_steps;
    progressed(true);
  }
  void take_in(const StepEvent& event) {
    Progress& progress = state_.progress;
    progress.stage = "steps";
    progress.step = event.step;
    progress.total_steps = event.of;
    progress.epoch = event.epoch;
    progress.loss = event.loss;
    progress.tokens_per_second = event.tokens_per_second;
    measure_step(progress);
    state_.highest_step = std::max(state_.highest_step, event.step);
    progressed(true);
  }
  // Smoothed over about ten steps, for the estimate of when it will be done.
  void measure_step(Progress& progress) {
    if (progress.last_step_at && event_time_ > *progress.last_step_at) {
      const double took =
          std::chrono::duration<double>(event_time_ - *progress.last_step_at).count();
      const double before = progress.seconds_per_step.value_or(took);
      progress.seconds_per_step = before + (took - before) / 10.0;
    }
    progress.last_step_at = event_time_;
  }
  void take_in(const EvaluatedEvent& event) {
    state_.progress.held_out = event.loss;
    if (event.step == 0) state_.progress.held_out_before = event.loss;
    progressed(true);
  }
  void take_in(const CheckpointEvent& event) {
    progressed(true);
    if (state_.kill_when_saved) kill_trainer();
    if (wants_upload(event)) {
      add_upload("checkpoint-epoch-" + std::to_string(*event.whole_epoch), event.path, event.step);
    } else if (state_.reason == StopReason::none && !is_among_uploads(event.path)) {
      actions_.push_back(Action{.kind = ActionKind::release_checkpoint, .folder = event.path});
    }
  }
  // An epoch's end may be reported again as a mere checkpoint, when training is stopped just there.
  bool is_among_uploads(const std::string& folder) const {
    return std::any_of(state_.uploads.begin(), state_.uploads.end(),
                       [&](const Upload& upload) { return upload.folder == folder; });
  }
  void take_in(const WarningEvent& event) {
    state_.warnings.push_back(event.what);
    if (state_.warnings.size() > kWarningsKept) state_.warnings.erase(state_.warnings.begin());
  }
  void take_in(const FailedEvent& event) {
    state_.failure = event.what;
    state_.failure_kind = event.kind;
  }
  void take_in(const FinishedEvent& event) {
    state_.finished = !event.stopped;
    state_.stopped_early = event.stopped;
    progressed(true);
  }

  bool wants_upload(const CheckpointEvent& event) const {
    return policy_.has_hub && policy_.push_checkpoints && policy_.checkpoint_every_epochs > 0 &&
           event.whole_epoch && *event.whole_epoch % policy_.checkpoint_every_epochs == 0;
  }

  void add_upload(const std::string& label, const std::string& folder, std::int64_t step) {
    // After a resume the same epoch's end may be reported again: the folder is the same, bit for
    // bit.
    for (const Upload& upload : state_.uploads) {
      if (upload.label == label) return;
    }
    Upload upload;
    upload.label = label;
    upload.folder = folder;
    upload.step = step;
    upload.attempts = 1;
    state_.uploads.push_back(upload);
    actions_.push_back(Action{.kind = ActionKind::send_upload, .label = label, .folder = folder});
  }

  void take_in_fetching() {
    if (seen_.fetch.bytes > state_.fetched_bytes) progressed(false);
    state_.fetched_bytes = seen_.fetch.bytes;
  }

  void take_in_uploads() {
    for (const UploadResult& result : seen_.uploads) {
      if (!result.error) progressed(false);
      if (result.label == "logs") state_.logs_done = true;
      for (Upload& upload : state_.uploads) {
        if (upload.label == result.label) take_in_result(upload, result);
      }
    }
  }

  void take_in_result(Upload& upload, const UploadResult& result) {
    upload.at = seen_.now;
    if (!result.error) {
      upload.state = Upload::State::safe;
      upload.commit = result.commit;
      upload.files_sha256 = result.files_sha256;
      upload.message.clear();
      if (upload.folder.starts_with("checkpoints/")) {
        actions_.push_back(Action{.kind = ActionKind::release_checkpoint, .folder = upload.folder});
      }
      return;
    }
    upload.message = result.error->message;
    const bool corrupt_again =
        result.error->kind == ErrorKind::corrupt && upload.attempts >= kCorruptTries;
    if (is_permanent(result.error->kind) || corrupt_again) {
      upload.state = Upload::State::failed;
      return;
    }
    upload.state = Upload::State::waiting;
    const int doublings = std::min(upload.attempts - 1, 6);
    upload.retry_at = seen_.age + std::min<Age>(kUploadRetry, Age(1s) * (1 << doublings));
  }

  void retry_uploads() {
    for (Upload& upload : state_.uploads) {
      if (upload.state != Upload::State::waiting || seen_.age < upload.retry_at) continue;
      upload.state = Upload::State::sending;
      ++upload.attempts;
      actions_.push_back(
          Action{.kind = ActionKind::send_upload, .label = upload.label, .folder = upload.folder});
    }
  }

  void take_in_requests() {
    int asked = seen_.terminations;
    for (const Request& request : seen_.requests) {
      actions_.push_back(Action{.kind = ActionKind::close_request, .request = request});
      if (is_ending(state_.stage)) continue;
      if (request.kind == RequestKind::checkpoint) {
        if (trainer_runs())
          actions_.push_back(Action{.kind = ActionKind::signal_trainer, .signal = SIGUSR1});
      } else if (request.kind == RequestKind::down_now) {
        stop(StopReason::asked, "asked to destroy at once by " + request.by);
        destroy();
      } else {
        ask_to_stop(StopReason::asked, "asked to stop by " + request.by);
      }
    }
    while (asked-- > 0 && !is_ending(state_.stage)) {
      ask_to_stop(StopReason::terminated, "the agent was told to end (SIGTERM)");
    }
  }

  // The first request saves; a second one, while saving, does not wait for it any longer.
  void ask_to_stop(StopReason reason, const std::string& detail) {
    if (state_.stage == Stage::saving) {
      kill_trainer();
    } else if (state_.stage == Stage::kept) {
      destroy();
    } else {
      stop(reason, detail);
    }
  }

  // ---- stopping ----

  bool trainer_runs() const {
    return state_.trainer_wanted && seen_.trainer.kind == TrainerView::Kind::running;
  }

  void enter(Stage stage) {
    state_.stage = stage;
    state_.entered_at = seen_.age;
  }

  // Ends fetching or training in good order. The first reason stays.
  void stop(StopReason reason, const std::string& detail) {
    if (state_.reason != StopReason::none) return;
    state_.reason = reason;
    state_.detail = detail;
    if (trainer_runs() && reason != StopReason::finished) {
      actions_.push_back(Action{.kind = ActionKind::signal_trainer, .signal = SIGTERM});
      enter(Stage::saving);
    } else {
      enter(Stage::uploading);
    }
  }

  void kill_trainer() {
    if (state_.trainer_killed || !trainer_runs()) return;
    state_.trainer_killed = true;
    actions_.push_back(Action{.kind = ActionKind::signal_trainer, .signal = SIGKILL});
  }

  void destroy() {
    assert(state_.reason != StopReason::none);
    if (is_ending(state_.stage)) return;
    if (!state_.exit_code)
      state_.exit_code = static_cast<int>(ending_code(state_, seen_.fetch.error));
    kill_trainer();
    enter(Stage::destroying);
    state_.next_destroy_at = seen_.age;
  }

  // ---- stages ----

  void run_stage() {
    switch (state_.stage) {
      case Stage::fetching:
        return fetch();
      case Stage::training:
        return train();
      case Stage::saving:
        return save();
      case Stage::uploading:
        return upload();
      case Stage::kept:
        if (seen_.age >= state_.kept_until) destroy();
        return;
      case Stage::destroying:
      case Stage::confirming:
        return confirm();
    }
  }

  void fetch() {
    if (seen_.fetch.kind == FetchView::Kind::failed) {
      return stop(StopReason::failed, seen_.fetch.error->message);
    }
    if (seen_.fetch.kind == FetchView::Kind::done) {
      enter(Stage::training);
      return start_trainer();
    }
    if (!state_.fetch_started) {
      state_.fetch_started = true;
      actions_.push_back(Action{ActionKind::start_fetch});
    }
  }

  void start_trainer() {
    state_.trainer_wanted = true;
    if (seen_.trainer.kind == TrainerView::Kind::running) {
      // A life of the agent whose last state was not saved had started it: there is never a second.
      state_.trainer_seen = true;
      return progressed(true);
    }
    state_.trainer_seen = false;
    state_.trainer_killed = false;
    state_.stall_kill = false;
    state_.finished = false;
    state_.stopped_early = false;
    state_.failure.clear();
    state_.failure_kind.clear();
    progressed(true);
    actions_.push_back(Action{ActionKind::start_trainer});
  }

  void train() {
    if (seen_.trainer.kind == TrainerView::Kind::running) {
      state_.trainer_seen = true;
      return watch_for_stall();
    }
    // Told to start by a life of the agent that ended before it could: that is no crash.
    const bool never_was = seen_.trainer.kind == TrainerView::Kind::none && !state_.trainer_seen;
    if (never_was) return start_trainer();
    state_.trainer_wanted = false;
    if (state_.finished && seen_.trainer.code.value_or(0) == 0) {
      return stop(StopReason::finished, "training is done");
    }
    after_crash();
  }

  void watch_for_stall() {
    if (!is_stalled(limits_, seen_.age, state_.trainer_progress_at)) return;
    if (!state_.stall_kill) {
      state_.stall_kill = true;
      return kill_trainer();
    }
    // It does not even die: stuck in a driver, say. Nothing can be restarted beside it.
    if (seen_.age - state_.trainer_progress_at >=
        Age(std::chrono::milliseconds(
            static_cast<std::int64_t>(limits_.stall_minutes * 60'000.0))) +
            kDeathTakes) {
      state_.trainer_wanted = false;
      stop(StopReason::stalled, "the trainer made no progress and cannot be killed");
    }
  }

  void after_crash() {
    if (state_.highest_step > state_.step_at_crash) state_.restarts_without_progress = 0;
    state_.step_at_crash = state_.highest_step;
    const bool explained = !state_.failure.empty() || state_.stall_kill;
    const int allowed = explained ? kRestartsExplained : kRestartsUnexplained;
    if (is_hopeless(state_.failure_kind) || state_.restarts_without_progress >= allowed) {
      return stop(state_.stall_kill ? StopReason::stalled : StopReason::failed, crash_text());
    }
    ++state_.restarts;
    ++state_.restarts_without_progress;
    state_.warnings.push_back("trainer restarted: " + crash_text());
    if (state_.warnings.size() > kWarningsKept) state_.warnings.erase(state_.warnings.begin());
    start_trainer();
  }

  std::string crash_text() const {
    if (state_.stall_kill) return "the trainer made no progress";
    if (!state_.failure.empty()) return state_.failure;
    if (!seen_.trainer.code) return "the trainer ended without saying why";
    const int code = *seen_.trainer.code;
    if (code > 128) return "the trainer was ended by signal " + std::to_string(code - 128);
    return "the trainer ended with code " + std::to_string(code);
  }

  void save() {
    const Age late = seen_.age - state_.entered_at - save_takes(state_.progress);
    if (seen_.trainer.kind != TrainerView::Kind::running) {
      state_.trainer_wanted = false;
      if (state_.finished) {  // it was done just when it was asked to stop
        state_.reason = StopReason::finished;
        state_.detail = "training is done";
      }
      return enter(Stage::uploading);
    }
    if (late >= 0ms) kill_trainer();
    if (late >= kDeathTakes) enter(Stage::uploading);  // it is stuck: go on without
  }

  // ---- publishing what there is ----

  void upload() {
    const Age waited = seen_.age - state_.entered_at;
    const bool out_of_time = waited >= Age(limits_.upload_timeout);
    if (!policy_.has_hub) return conclude();
    if (!state_.final_queued) queue_final(waited);
    if (!out_of_time && (!state_.final_queued || uploads_pending())) return;
    if (out_of_time) give_up_uploads();
    if (!state_.logs_sent && !out_of_time) {
      state_.logs_sent = true;
      state_.status_sent_at = seen_.age;
      actions_.push_back(Action{ActionKind::send_logs});
      return;
    }
    const bool logs_over = state_.logs_done || seen_.age - state_.status_sent_at >= kLogsTake;
    if (logs_over || out_of_time) conclude();
  }

  // The adapter goes to main after all checkpoints, unless those take half of the time there is.
  // What a stopped run has goes up at once.
  void queue_final(Age waited) {
    const Age until_destroyed = first_deadline(policy_.limit).destroy_at - state_.entered_at;
    const Age patience = std::min(Age(limits_.upload_timeout), until_destroyed) / 2;
    const bool finished = state_.reason == StopReason::finished;
    if (finished && uploads_pending() && waited < patience) return;
    state_.final_queued = true;
    if (finished) {
      add_upload("main", "adapter", state_.progress.step);
      return;
    }
    if (!seen_.newest_checkpoint) return;
    const NewestCheckpoint& newest = *seen_.newest_checkpoint;
    for (const Upload& upload : state_.uploads) {
      if (upload.step == newest.step) return;  // it is up there as an epoch's end
    }
    add_upload("stopped-step-" + std::to_string(newest.step), newest.folder, newest.step);
  }

  bool uploads_pending() const {
    return std::any_of(state_.uploads.begin(), state_.uploads.end(), [](const Upload& upload) {
      return upload.state == Upload::State::sending || upload.state == Upload::State::waiting;
    });
  }

  void give_up_uploads() {
    for (Upload& upload : state_.uploads) {
      if (upload.state == Upload::State::safe || upload.state == Upload::State::failed) continue;
      upload.state = Upload::State::failed;
      if (upload.message.empty()) upload.message = "not uploaded in time";
    }
  }

  void conclude() {
    state_.exit_code = static_cast<int>(ending_code(state_, seen_.fetch.error));
    const bool failed = state_.reason == StopReason::failed || state_.reason == StopReason::stalled;
    const bool done = state_.reason == StopReason::finished;
    const AtEnd at_end = failed ? limits_.on_failure : limits_.on_complete;
    if ((failed || done) && at_end == AtEnd::keep) return enter(Stage::kept);
    if (failed && limits_.failure_grace_minutes > 0) {
      state_.kept_until =
          seen_.age + Age(static_cast<std::int64_t>(limits_.failure_grace_minutes * 60'000.0));
      return enter(Stage::kept);
    }
    destroy();
  }

  // ---- limits ----

  void keep_deadlines() {
    if (is_ending(state_.stage)) return;
    const Deadline deadline = first_deadline(policy_.limit);
    if (seen_.age >= deadline.stop_at) {
      const bool money = deadline.reason == StopReason::spend_limit;
      stop(deadline.reason, money ? "the spend limit is reached" : "the time limit is reached");
    }
    if (seen_.age >= deadline.destroy_at) return destroy();
    const bool working = state_.stage == Stage::fetching || state_.stage == Stage::training;
    if (working && is_idle(limits_, seen_.age, state_.progress_at)) {
      stop(StopReason::idle, "nothing progressed for too long");
    }
    if (working && policy_.has_hub &&
        seen_.age - state_.status_sent_at >= Age(policy_.status_every)) {
      state_.status_sent_at = seen_.age;
      actions_.push_back(Action{ActionKind::send_status});
    }
  }

  // ---- the end of the instance ----

  void take_in_destroying() {
    if (seen_.destroy) {
      state_.destroy_answer = seen_.destroy->text;
      if (seen_.destroy->accepted && state_.stage == Stage::destroying) {
        if (!state_.destroy_accepted_at) state_.destroy_accepted_at = seen_.now;
        actions_.push_back(Action{ActionKind::write_receipt});
        enter(Stage::confirming);
        state_.next_look_at = seen_.age;
      }
    }
    if (seen_.instance && is_ending(state_.stage)) {
      const bool unlisted =
          !*seen_.instance && seen_.instance->error().kind == ErrorKind::not_found;
      state_.gone = unlisted || (*seen_.instance && **seen_.instance == InstanceState::gone);
    } else if (seen_.instance && *seen_.instance && is_over(**seen_.instance)) {
      // Asked by somebody else, or by an earlier life whose memory was lost with a full disk.
      stop(StopReason::asked, "the provider is ending this instance");
      destroy();
    }
  }

  static bool is_over(InstanceState state) {
    return state == InstanceState::terminating || state == InstanceState::gone;
  }

  void ask_destroy() {
    if (state_.gone || seen_.age < state_.next_destroy_at) return;
    const int doublings = std::min(state_.destroy_calls, 5);
    ++state_.destroy_calls;
    state_.next_destroy_at = seen_.age + std::min<Age>(kDestroyRetry, Age(1s) * (1 << doublings));
    actions_.push_back(Action{ActionKind::ask_destroy});
  }

  void confirm() {
    if (state_.stage != Stage::confirming || state_.gone) return;
    if (seen_.age - state_.entered_at >= kConfirmTakes) {
      enter(Stage::destroying);
      state_.next_destroy_at = seen_.age;
      return;
    }
    // An accepted call can be lost on the provider's side: an instance that runs is asked again.
    const bool still_runs = seen_.instance && *seen_.instance && !is_over(**seen_.instance);
    if (still_runs && seen_.age >= state_.next_destroy_at) {
      enter(Stage::destroying);
      state_.next_destroy_at = seen_.age;
      return;
    }
    if (seen_.age < state_.next_look_at) return;
    state_.next_look_at = seen_.age + kLookEvery;
    actions_.push_back(Action{ActionKind::look_at_instance});
  }

  const AgentPolicy& policy_;
  const LimitsConfig& limits_;
  AgentState& state_;
  const Observation& seen_;
  std::vector<Action>& actions_;
  WallTime event_time_{};  // of the event at hand
};

}  // namespace

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::fetching:
      return "fetching";
    case Stage::training:
      return "training";
    case Stage::saving:
      return "saving";
    case Stage::uploading:
      return "uploading";
    case Stage::kept:
      return "kept";
    case Stage::destroying:
      return "destroying";
    case Stage::confirming:
      return "confirming";
  }
  return "";
}

Step advance(const AgentPolicy& policy, AgentState state, const Observation& seen) {
  Step step{std::move(state), {}};
  Decision(policy, step.state, seen, step.actions).decide();
  return step;
}

}  // namespace mayfly
