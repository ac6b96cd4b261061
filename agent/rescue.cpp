#include "agent/rescue.h"

#include <csignal>

#include <nlohmann/json.hpp>

#include "agent/newest_checkpoint.h"
#include "agent/publish.h"
#include "agent/state_json.h"
#include "agent/trainer_process.h"
#include "agent/upload_folder.h"
#include "agent/upload_queue.h"
#include "core/atomic_file.h"
#include "core/json.h"
#include "core/log.h"

namespace mayfly {

namespace fs = std::filesystem;
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
  std::error_code code;
  if (fs::is_directory(run.adapter(), code)) {
    if (is_safe([](const Upload& upload) { return upload.label == "main"; })) return std::nullopt;
    return Rescued{"main", "adapter"};
  }
  const std::optional<NewestCheckpoint> newest = newest_checkpoint(run);
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

Status upload(const Rescued& what, const RunPlan& plan, Store& store, Clock& clock) {
  const Result<std::vector<StoreUpload>> files =
      freeze_folder(RunDirectory{plan.run_dir}, what.folder, what.label);
  if (!files) return files.error();
  UploadQueue queue(store);
  for (;;) {
    queue.push({what.label, what.label,
                plan.run_name + ": " + what.label + " from " + what.folder + ", by the rescue",
                *files, true});
    std::vector<UploadResult> results;
    while ((results = queue.take_results()).empty()) clock.sleep_for(kLook);
    if (!results[0].error) return Unit{};
    if (!may_pass(results[0].error->kind)) return *results[0].error;
    log_warn(results[0].error->message + "; again");
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
  if (!publishing->store) return std::string("this run publishes nothing");
  const std::optional<Rescued> what = to_be_rescued(run, known_uploads(run, plan.run_id));
  if (!what) return std::string("everything complete was on the hub already");
  if (const Status sent = upload(*what, plan, *publishing->store, clock); !sent) {
    return sent.error();
  }
  return what->folder + " is safe on the branch " + what->label;
}

}  // namespace mayfly
