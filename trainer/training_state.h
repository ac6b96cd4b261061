// Where a training run is, besides its tensors: what a checkpoint must hold so that going on from
// it gives the same numbers as never having stopped.
//
// Two files of a checkpoint come from it: `resume.json`, which we read, and `trainer_state.json`,
// which other tools read (transformers' TrainerState).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/config/run_config.h"
#include "core/result.h"
#include "core/run/event.h"

namespace mayfly {

// One line of the model card's table.
struct EpochSummary {
  std::int64_t epoch = 0;  // from 1
  std::int64_t step = 0;   // the last of the epoch
  double loss = 0;         // mean over the epoch's steps
  std::optional<double> held_out_loss;
};

struct TrainingState {
  std::int64_t step = 0;  // done so far
  std::int64_t total_steps = 0;
  std::int64_t steps_per_epoch = 1;
  std::int64_t per_device_batch_size = 1;
  std::int64_t tokens = 0;
  std::int64_t skipped = 0;           // of `step`: those that updated nothing (train.nan_policy)
  std::int64_t skipped_in_a_row = 0;  // the last ones
  double seconds = 0;                 // of training, over all restarts
  // Of the epoch under way.
  double loss_sum = 0;
  std::int64_t loss_count = 0;

  std::vector<EpochSummary> epochs;
  std::vector<EvaluatedEvent> evaluations;
  std::vector<StepEvent> logged;  // every logging_steps-th step

  // What must not change between stopping and going on, by name: "data" -> digest, "seed" -> "42".
  std::map<std::string, std::string> identity;

  double epoch() const {
    return static_cast<double>(step) / static_cast<double>(steps_per_epoch);
  }
  // N, when `step` is the last of epoch N.
  std::optional<std::int64_t> whole_epoch() const;
};

// Brings the state forward by one step; closes an epoch.
void note_step(TrainingState& state, const StepEvent& step, std::int64_t logging_steps);
// A step of which nothing came: `tokens` and losses stay as they are.
void note_skipped_step(TrainingState& state);
// A held-out result at state.step. A repeated one at the same step replaces the first.
void note_evaluation(TrainingState& state, const EvaluatedEvent& evaluated);

// The held-out loss before training, and the newest after it, if there are any.
std::optional<double> loss_before(const TrainingState& state);
std::optional<double> loss_after(const TrainingState& state);

// Whether training has got no better for `patience` held-out losses in a row: none of them more
// than `min_delta` below the best before, the loss before training included. As the EarlyStopping
// of Keras 3; transformers' differs where min_delta is not 0: there a loss that falls by less
// becomes the best all the same, so that a slow fall ends the run too.
bool stops_early(const TrainingState& state, const TrainConfig& train);

nlohmann::json resume_json(const TrainingState& state);
// Error: corrupt.
Result<TrainingState> training_state_from_json(const nlohmann::json& json);

// transformers' trainer_state.json: global_step, epoch, log_history and the fields its reader
// needs.
nlohmann::json trainer_state_json(const TrainingState& state, const TrainConfig& train);

}  // namespace mayfly
