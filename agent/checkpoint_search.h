// The newest checkpoint of a run directory that is whole: the one whose manifest agrees.
//
// Asked several times a second while there is no trainer, and comparing means reading all of it; so
// what was found of a folder is kept until its manifest changes. One thread.
#pragma once

#include <map>
#include <optional>

#include "agent/state.h"
#include "core/run/directory.h"

namespace mayfly {

class CheckpointSearch {
 public:
  explicit CheckpointSearch(RunDirectory run) : run_(std::move(run)) {}

  // Damaged ones are passed over, each with a line in the log.
  std::optional<NewestCheckpoint> newest();

 private:
  bool is_whole(std::int64_t step);

  struct Verdict {
    std::filesystem::file_time_type manifest_time;
    bool whole = false;
  };
  RunDirectory run_;
  std::map<std::int64_t, Verdict> verdicts_;
};

}  // namespace mayfly
