#include "agent/rescue.h"

#include <csignal>

#include <nlohmann/json.hpp>

#include "agent/checkpoint_search.h"
#include "agent/publish.h"
#include "agent/state_json.h"
#include "agent/trainer_process.h"
#include "agent/upload_folder.h"
#include "agent/upload_queue.h"
#include "core/atomic_file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/run/checkpoint_folder.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

constexpr auto kLook = 100ms;
constexpr auto kPause = 5s;

struct Rescued {
  std::string label;  // the branch
  std::string folder;
};

void end_trainer(const RunDirectory& run, const std::string& unit, Clock& clock) {
  TrainerProcess trainer("", run, unit);
  trainer.adopt();
  const auto wait = [&](std::chrono::milliseconds limit) {
    for (auto waited = 0ms; waited < limit; waited += kLook) {
      if (trainer.view().kind != TrainerView::Kind::running) return true;
      clock.sleep_for(kLook);
    }
    return false;
  };
  if (trainer.view().kind != TrainerView::Kind::running) return;
  trainer.send(SIGTERM);
  if (wait(kSaveTakes)) return;
  trainer.send(SIGKILL);
  (void)wait(kDeathTakes);
}

// What the agent knew to be safe. A state that cannot be read says nothing, and what is on the hub
// already is then sent once more.
std::vector<Upload> known_uploads(const RunDirectory& run, const std::string& run_id) {
  const Result<std::string> text = read_file(run.agent_state());
  if (!text) return {};
  const Result<nlohmann::json> json = parse_json(*text, run.agent_state().string());
  if (!json) return {};
  const Result<AgentMemory> memory = memory_from_json(*json);
  if (!memory || memory->run_id != run_id) return {};
  return memory->state.uploads;
}

std::optional<Rescued> to_be_rescued(const RunDirectory& run, const std::vector<Upload>& uploads) {
  const auto is_safe = [&](auto&& matches) {
    for (const Upload& upload : uploads) {
      if (upload.state == Upload::State::safe && matches(upload)) return true;
    }
    return false;
  };
  if (check_manifest(run.adapter())) {
    if (is_safe([](const Upload& upload) { return upload.label == "main"; })) return std::nullopt;
    return Rescued{"main", "adapter"};
  }
  const std::optional<NewestCheckpoint> newest = CheckpointSearch(run).newest();
  if (!newest) return std::nullopt;
  if (is_safe([&](const Upload& upload) { return upload.step >= newest->step; })) {
    return std::nullopt;
  }
  return Rescued{"stopped-step-" + std::to_string(newest->step), newest->folder};
}

bool may_pass(ErrorKind kind) {
  return kind == ErrorKind::unreachable || kind == ErrorKind::rate_limited ||
         kind == ErrorKind::outcome_unknown;
}

Status upload(const Rescued& what, const RunPlan& plan,
              const std::vector<std::shared_ptr<Store>>& sinks, Clock& clock) {
  const Result<std::vector<StoreUpload>> files = freeze_folder(
      RunDirectory{plan.run_dir}, what.folder, what.label, plan.config.hub.optimizer_state);
  if (!files) return files.error();
  std::vector<std::unique_ptr<UploadQueue>> queues;
  for (const auto& sink : sinks) queues.push_back(std::make_unique<UploadQueue>(*sink, clock));
  for (;;) {
    bool may_work_later = false;
    std::optional<Error> last;
    for (const auto& queue : queues) {
      queue->push({.label = what.label,
                   .branch = what.label,
                   .summary = plan.run_name + ": " + what.label + " from " + what.folder +
                              ", by the rescue",
                   .files = *files,
                   .urgent = true});
      std::vector<UploadResult> results;
      while ((results = queue->take_results()).empty()) clock.sleep_for(kLook);
      if (!results[0].error) return Unit{};
      last = results[0].error;
      may_work_later = may_work_later || may_pass(last->kind);
      log_warn(last->message);
    }
    if (!may_work_later) return *last;
    clock.sleep_for(kPause);
  }
}

}  // namespace

Result<std::string> rescue_run(const RunPlan& plan, const std::string& secrets_path,
                               const std::string& trainer_unit, Clock& clock) {
  const RunDirectory run{plan.run_dir};
  end_trainer(run, trainer_unit, clock);
  const Result<Publishing> publishing = open_publishing(plan, secrets_path);
  if (!publishing) return publishing.error();
  if (publishing->sinks.empty()) return std::string("this run publishes nothing");
  const std::optional<Rescued> what = to_be_rescued(run, known_uploads(run, plan.run_id));
  if (!what) return std::string("everything complete was on the hub already");
  if (const Status sent = upload(*what, plan, publishing->sinks, clock); !sent) {
    return sent.error();
  }
  return what->folder + " is safe on the branch " + what->label;
}

}  // namespace mayfly
