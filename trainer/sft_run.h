// One SFT run under way: what is trained, how far it is, and each thing that happens to it. The
// order in which they happen is in sft.cpp.
//
// Every method that changes files reports it. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/text/dataset.h"
#include "trainer/batches.h"
#include "trainer/beginning.h"
#include "trainer/checkpoint.h"
#include "trainer/device.h"
#include "trainer/hooks.h"
#include "trainer/load_model.h"
#include "trainer/model_card.h"
#include "trainer/nn/packed_batch.h"
#include "trainer/optim/optimizer.h"
#include "trainer/optim/schedule.h"
#include "trainer/sft.h"
#include "trainer/snapshot.h"
#include "trainer/training_state.h"

namespace mayfly {

// What a run works with.
struct SftParts {
  ComputeDevice device;
  LoadedModel model;
  LoraAdapter adapter;
  Dataset data;
};

// Steps before a run: each reports its stage.
Result<LoadedModel> load_base_model(const SftJob& job, const ComputeDevice& device);
Result<LoraAdapter> load_new_adapter(const SftJob& job, const LoadedModel& model);
Result<Dataset> encode_data(const SftJob& job, const LoadedModel& model);

class SftRun {
 public:
  // Error: not_found, when a data file went away meanwhile.
  static Result<SftRun> prepare(const SftJob& job, SftParts parts, const BatchSizes& sizes);

  // Takes the checkpoint's values, if there is one; the other ranks take the first one's. One of
  // the run's own is reported again: its writer may have been killed just before saying so, and it
  // would never be uploaded. Error: invalid_config, when it is of another run; corrupt.
  Status go_on_from(const Beginning& beginning);
  // Reports what there is to do.
  Status announce();
  // A full disk is found here, before anything was computed.
  Status rehearse_checkpoint();

  // Also when the held-out loss says so (train.early_stop_patience).
  bool all_steps_done() const {
    return state_.step >= state_.total_steps || stops_early(state_, job_.plan.config.train);
  }
  // One optimizer step, or one that is left out (train.nan_policy: skip). Error: diverged,
  // bad_data; nothing was updated then.
  Status step();
  // Held-out loss before the first step, every eval_steps, after the last. Given up when a stop is
  // asked for: it is made up for after going on.
  Status evaluate_if_due();
  bool checkpoint_is_due() const;
  Status checkpoint();
  // Publishes adapter/ by rename; one that is there is replaced.
  Status export_adapter();

  FinishedEvent stopped() const;
  FinishedEvent finished() const;

 private:
  SftRun(const SftJob& job, SftParts parts, Batches batches);

  // Runs the user's command of this moment, if there is one.
  Status hook(std::string_view moment, std::map<std::string, std::string> facts);

  std::vector<PackedBatch> next_batches();
  // What is done once for all ranks: only the first one writes.
  bool writes() const {
    return job_.ranks.is_first();
  }
  Status take_checkpoint(const Beginning& beginning);
  Status agree_with_first();
  Status skip_step();
  Status tell_early_stop();
  AdapterDescription describe_adapter() const;
  Status tell_checkpoint(std::int64_t bytes);
  CheckpointContent content(const Snapshot& adapter, const Snapshot& optimizer) const;
  AdapterFiles adapter_files(const Snapshot& adapter) const;

  SftJob job_;
  SftParts parts_;
  Batches batches_;
  Schedule schedule_;
  std::unique_ptr<Optimizer> optimizer_;
  TrainingState state_;
  Hooks hooks_;
  ModelCardFacts facts_;
};

}  // namespace mayfly
