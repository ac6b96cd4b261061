#include <algorithm>

#include "agent/decision.h"
#include "agent/ending.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr int kCorruptTries = 5;  // an upload whose listing disagrees is sent anew so often

Action sending(const Upload& upload) {
  return {.kind = ActionKind::send_upload,
          .label = upload.label,
          .folder = upload.folder,
          .sink = upload.sink};
}

}  // namespace

bool Decision::wants_upload(const CheckpointEvent& event) const {
  return policy_.has_hub && policy_.push_checkpoints && policy_.checkpoint_every_epochs > 0 &&
         event.whole_epoch && *event.whole_epoch % policy_.checkpoint_every_epochs == 0;
}

// An epoch's end may be reported again as a mere checkpoint, when training is stopped just there.
bool Decision::is_among_uploads(const std::string& folder) const {
  return std::any_of(state_.uploads.begin(), state_.uploads.end(),
                     [&](const Upload& upload) { return upload.folder == folder; });
}

// After a resume the same epoch's end may be reported again: the folder is the same, bit for bit.
void Decision::add_upload(const std::string& label, const std::string& folder, std::int64_t step) {
  for (const Upload& upload : state_.uploads) {
    if (upload.label == label) return;
  }
  Upload upload;
  upload.label = label;
  upload.folder = folder;
  upload.step = step;
  upload.attempts = 1;
  upload.sent_at = seen_.age;
  state_.uploads.push_back(upload);
  act(sending(upload));
}

void Decision::take_in_uploads() {
  for (const UploadResult& result : seen_.uploads) {
    if (!result.error) progressed(false);
    if (result.label == "logs") state_.logs_done = true;
    for (Upload& upload : state_.uploads) {
      if (upload.label == result.label) take_in_result(upload, result);
    }
  }
}

void Decision::take_in_result(Upload& upload, const UploadResult& result) {
  upload.at = seen_.now;
  if (!result.error) {
    upload.state = Upload::State::safe;
    upload.sink = result.sink;
    upload.commit = result.commit;
    upload.files_sha256 = result.files_sha256;
    upload.message.clear();
    upload.flag = result.flag;
    state_.upload_takes = std::max(state_.upload_takes, seen_.age - upload.sent_at);
    if (!upload.flag.empty()) warn(upload.label + ": " + upload.flag);
    if (upload.sink > 0) warn(upload.label + " is at sink " + std::to_string(upload.sink));
    if (upload.folder.starts_with("checkpoints/")) {
      act({.kind = ActionKind::release_checkpoint, .folder = upload.folder});
    }
    return;
  }
  // Of a sink that was given up while it was still trying.
  if (result.sink != upload.sink || upload.state == Upload::State::safe) return;
  upload.message = result.error->message;
  // Attempts that another life of the agent left, or that met a hub that was away, say nothing
  // about the bytes.
  upload.corrupt_answers += result.error->kind == ErrorKind::corrupt;
  const bool corrupt_again = upload.corrupt_answers >= kCorruptTries;
  if (is_permanent(result.error->kind) || corrupt_again) {
    if (upload.sink + 1 < policy_.sinks) return send_to_next_sink(upload);
    upload.state = Upload::State::failed;
    return;
  }
  upload.state = Upload::State::waiting;
  const int doublings = std::min(upload.attempts - 1, 6);
  upload.retry_at = seen_.age + std::min<Age>(kUploadRetry, Age(1s) * (1 << doublings));
}

void Decision::send_to_next_sink(Upload& upload) {
  warn(upload.label + " goes to the next sink: " +
       (upload.message.empty() ? "no answer in time" : upload.message));
  ++upload.sink;
  upload.attempts = 0;
  upload.corrupt_answers = 0;
  upload.retry_at = seen_.age;
  upload.state = Upload::State::waiting;
}

void Decision::retry_uploads() {
  for (Upload& upload : state_.uploads) {
    if (upload.state != Upload::State::waiting || seen_.age < upload.retry_at) continue;
    upload.state = Upload::State::sending;
    ++upload.attempts;
    act(sending(upload));
  }
}

// The stage: what is waiting, then the last of the work, then the logs.
void Decision::upload() {
  if (!policy_.has_hub) return conclude();
  const Age waited = seen_.age - state_.entered_at;
  const Deadline deadline = first_deadline(limit_);
  bool out_of_time = waited >= Age(limit_.limits.upload_timeout) ||
                     seen_.age >= deadline.rescue_at || seen_.age >= state_.reclaimed_at;
  if (!state_.final_queued) queue_final(waited);
  if (out_of_time && uploads_pending() && begin_rescue(deadline)) out_of_time = false;
  if (!out_of_time && (!state_.final_queued || uploads_pending())) return;
  if (out_of_time) give_up_uploads();
  if (!state_.logs_sent && !out_of_time) {
    state_.logs_sent = true;
    state_.status_sent_at = seen_.age;
    decide_exit_code();  // the status beside the logs is the last that leaves the machine
    return act({.kind = ActionKind::send_logs});
  }
  const bool logs_over = state_.logs_done || seen_.age - state_.status_sent_at >= kLogsTake;
  if (logs_over || out_of_time) conclude();
}

// Whether there is time left all the same: the reserve did not get the work uploaded, so the rescue
// budget is spent on it, elsewhere if there is another sink.
bool Decision::begin_rescue(const Deadline& deadline) {
  if (seen_.age >= state_.reclaimed_at) return false;
  if (state_.rescue_until) return seen_.age < *state_.rescue_until;
  // Where the user's own patience has ended and not the reserve, the same sink gets no more of it.
  if (policy_.sinks < 2 && seen_.age < deadline.rescue_at) return false;
  state_.rescue_until = std::min(seen_.age + rescue_time(limit_), deadline.destroy_at);
  for (Upload& upload : state_.uploads) {
    const bool pending =
        upload.state == Upload::State::sending || upload.state == Upload::State::waiting;
    if (pending && upload.sink + 1 < policy_.sinks) send_to_next_sink(upload);
  }
  return true;
}

// The adapter goes to main after all checkpoints, unless those take half of the time there is. What
// a stopped run has goes up at once.
void Decision::queue_final(Age waited) {
  const Age until_destroyed = first_deadline(limit_).destroy_at - state_.entered_at;
  const Age patience = std::min(Age(limit_.limits.upload_timeout), until_destroyed) / 2;
  const bool finished = state_.reason == StopReason::finished;
  const bool hurry = state_.reclaimed_at < kNever || waited >= patience;
  if (finished && uploads_pending() && !hurry) return;
  state_.final_queued = true;
  if (finished) return add_upload("main", "adapter", state_.progress.step);
  if (!seen_.newest_checkpoint) return;
  const NewestCheckpoint& newest = *seen_.newest_checkpoint;
  for (const Upload& upload : state_.uploads) {
    if (upload.step == newest.step) return;  // it is up there as an epoch's end
  }
  add_upload("stopped-step-" + std::to_string(newest.step), newest.folder, newest.step);
}

bool Decision::uploads_pending() const {
  return std::any_of(state_.uploads.begin(), state_.uploads.end(), [](const Upload& upload) {
    return upload.state == Upload::State::sending || upload.state == Upload::State::waiting;
  });
}

void Decision::give_up_uploads() {
  for (Upload& upload : state_.uploads) {
    if (upload.state == Upload::State::safe || upload.state == Upload::State::failed) continue;
    upload.state = Upload::State::failed;
    if (upload.message.empty()) upload.message = "not uploaded in time";
  }
}

}  // namespace mayfly
