#include "trainer/beginning.h"

#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "version.h"

namespace mayfly {

namespace {

// The run's own newest one that is whole.
std::optional<Checkpoint> newest_whole(const RunDirectory& run,
                                       std::vector<WarningEvent>& warnings) {
  const std::vector<std::int64_t> steps = checkpoint_steps(run);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    Result<Checkpoint> checkpoint = read_checkpoint(run.checkpoint(*step));
    if (checkpoint) return std::move(*checkpoint);
    warnings.push_back({"damaged_checkpoint", checkpoint.error().message,
                        "the one before it is used; remove the damaged folder"});
  }
  return std::nullopt;
}

}  // namespace

Result<Beginning> find_beginning(const SftJob& job, const ComputeDevice& device) {
  if (!job.ranks.is_first()) return Beginning{};  // it is told (SftRun::go_on_from)
  const RunDirectory& run = job.directory;
  if (Status made = make_folders(run.checkpoints()); !made) return made.error();
  if (Status cleared = remove_leftovers(run); !cleared) return cleared.error();

  Beginning beginning;
  std::vector<WarningEvent> warnings;
  beginning.checkpoint = newest_whole(run, warnings);
  const std::optional<std::string>& from = job.plan.config.train.resume_from;
  if (!beginning.checkpoint && from && *from != "latest") {
    Result<Checkpoint> named = read_checkpoint(*from);
    if (!named) return while_doing("train.resume_from", named.error());
    beginning.checkpoint = std::move(*named);
  }
  if (!beginning.checkpoint && from && *from == "latest") {
    warnings.push_back({"no_checkpoint", "train.resume_from is latest, and there is no checkpoint",
                        "training begins at step 0"});
  }
  StartedEvent started{.version = kVersion,
                       .plan_hash = plan_hash(job.plan),
                       .phase = std::string(enum_name(job.plan.config.phase)),
                       .device = device.name,
                       .resumed_from_step = 0};
  if (beginning.checkpoint) started.resumed_from_step = beginning.checkpoint->state.step;
  if (Status told = job.report.tell(started); !told) return told.error();
  for (WarningEvent& warning : warnings) {
    if (Status told = job.report.tell(std::move(warning)); !told) return told.error();
  }
  return beginning;
}

}  // namespace mayfly
