// Checkpoints on disk: written by rename, checked when read, deleted in the right order.
// docs/run_directory.md has the files and the promises.
//
// Knows bytes, not tensors. One thread; one process at a time in a run directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/model/safetensors.h"
#include "core/result.h"
#include "core/run/checkpoint_folder.h"
#include "core/run/directory.h"
#include "trainer/adapter_folder.h"
#include "trainer/training_state.h"

namespace mayfly {

struct CheckpointContent {
  AdapterFiles adapter;
  std::vector<StoredTensor> optimizer;
  std::string trainer_state;  // trainer_state.json's text
  TrainingState state;
};

// Writes checkpoint-<state.step> and returns its size in bytes. One of the same step that is there
// and whole is left as it is: it holds the same numbers; a damaged one is replaced. After an error
// of the disk it is written once more, under new names. Errors as write_file; whatever happens,
// earlier checkpoints are untouched and no folder of that name is incomplete.
Result<std::int64_t> write_checkpoint(const RunDirectory& run, const CheckpointContent& content);

// Writes as much as write_checkpoint would, reserves the same for `copies` - 1 more, and gives it
// all back, so that a full disk is found before training. Errors as write_file.
Status rehearse_checkpoint(const RunDirectory& run, const CheckpointContent& content,
                           std::int64_t copies = 1);

// An open checkpoint whose files are as its manifest says.
struct Checkpoint {
  std::filesystem::path folder;
  std::int64_t bytes = 0;  // of all its files
  TrainingState state;
  SafetensorsFile adapter;
  SafetensorsFile optimizer;
};
// Errors: not_found, corrupt, unsupported.
Result<Checkpoint> read_checkpoint(const std::filesystem::path& folder);

// Writes adapter/ by rename; one that is there is replaced. Errors as write_file.
Status publish_adapter(const RunDirectory& run, const AdapterFiles& files);

// Removes what a killed trainer left half-written or half-deleted.
Status remove_leftovers(const RunDirectory& run);

// Deletes all but the newest `keep` checkpoints, sparing those the agent still needs. Error:
// corrupt (the newest cannot be read back: then nothing is deleted).
Status delete_old_checkpoints(const RunDirectory& run, std::int64_t keep);

}  // namespace mayfly
