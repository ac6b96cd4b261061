// Libraries, base model and data, into reach of the trainer: on a thread of its own, for it can
// take minutes while limits go on to count.
//
// Libraries come only where the plan names wheels and the machine lacks them (runtime_install.h).
//
// Folders and files of this machine are used in place, after a look that they are readable; model/
// of the run directory is then a link to the folder. A model of the hub is downloaded to model/,
// every file verified by its hash (core/store/hub_download.h), resumed where an earlier life ended.
// So is the checkpoint that the plan goes on from; it appears in checkpoints/ when its manifest
// agrees.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/runtime_install.h"
#include "agent/state.h"
#include "core/run/directory.h"
#include "core/run/plan.h"

namespace mayfly {

// Downloads `repo` at `revision` into `folder`, calling back with the bytes so far.
using DownloadModel = std::function<Status(const std::string& repo, const std::string& revision,
                                           const std::filesystem::path& folder,
                                           const std::function<void(std::int64_t)>& progress)>;

// Where things come from that are not on this machine.
struct FetchSources {
  DownloadModel model;
  DownloadModel checkpoint = {};  // of the hub of the results: what the plan goes on from
  // Of the plan's list, if the trainer needs it; empty: the trainer has its libraries.
  std::function<Status(const RuntimeProgress&)> libraries = {};
};

// All that the trainer will need is there. Blocking. `progress`: what is being fetched, and bytes
// of everything, which only grow. Errors: not_found, bad_data (an empty data file), those of
// `from`.
Status fetch_inputs(const RunPlan& plan, const RunDirectory& run, const FetchSources& from,
                    const RuntimeProgress& progress);

class Fetcher {
 public:
  Fetcher(const RunPlan& plan, RunDirectory run, FetchSources from);
  void start();
  // Never waits.
  FetchView view() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace mayfly
