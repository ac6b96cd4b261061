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
    if (upload.folder.starts_with("checkpoints/")) {
      act({.kind = ActionKind::release_checkpoint, .folder = upload.folder});
    }
    return;
  }
  // Of a sink that was given up while it was still trying.
  if (result.sink != upload.sink || upload.state == Upload::State::safe) return;
  upload.message = result.error->message;
  const bool corrupt_again =
      result.error->kind == ErrorKind::corrupt && upload.attempts >= kCorruptTries;
  if (is_permanent(result.error->kind) || corrupt_again) {
    if (upload.sink + 1 >= policy_.sinks) {
      upload.state = Upload::State::failed;
      return;
    }
    warn(upload.label + " goes to the next sink: " + upload.message);
    ++upload.sink;
    upload.attempts = 0;
    upload.retry_at = seen_.age;
    upload.state = Upload::State::waiting;
    return;
  }
  upload.state = Upload::State::waiting;
  const int doublings = std::min(upload.attempts - 1, 6);
  upload.retry_at = seen_.age + std::min<Age>(kUploadRetry, Age(1s) * (1 << doublings));
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
  const Age waited = seen_.age - state_.entered_at;
  const bool out_of_time = waited >= Age(limit_.limits.upload_timeout);
  if (!policy_.has_hub) return conclude();
  if (!state_.final_queued) queue_final(waited);
  if (!out_of_time && (!state_.final_queued || uploads_pending())) return;
  if (out_of_time) give_up_uploads();
  if (!state_.logs_sent && !out_of_time) {
    state_.logs_sent = true;
    state_.status_sent_at = seen_.age;
    return act({.kind = ActionKind::send_logs});
  }
  const bool logs_over = state_.logs_done || seen_.age - state_.status_sent_at >= kLogsTake;
  if (logs_over || out_of_time) conclude();
}

// The adapter goes to main after all checkpoints, unless those take half of the time there is. What
// a stopped run has goes up at once.
void Decision::queue_final(Age waited) {
  const Age until_destroyed = first_deadline(limit_).destroy_at - state_.entered_at;
  const Age patience = std::min(Age(limit_.limits.upload_timeout), until_destroyed) / 2;
  const bool finished = state_.reason == StopReason::finished;
  if (finished && uploads_pending() && waited < patience) return;
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
