// Supervised fine-tuning of an adapter, from a plan to a folder that peft loads. The file to read
// first: sft.cpp has the phases in order, sft_run.h the run they work on.
#pragma once

#include "core/clock.h"
#include "core/result.h"
#include "core/run/directory.h"
#include "core/run/plan.h"
#include "trainer/ranks.h"
#include "trainer/report.h"

namespace mayfly {

// What a run is given. All must outlive it.
struct SftJob {
  const RunPlan& plan;
  const RunDirectory& directory;
  Report& report;
  Clock& clock;
  const Ranks& ranks;
};

// Reports everything but the end: the caller writes `finished` with what comes back, or `failed`.
// Goes on from the newest checkpoint of the directory. Ends early, saved, when a signal asks for it
// (stop_signal.h). Errors: any; what was saved before stays.
Result<FinishedEvent> sft(const SftJob& job);

}  // namespace mayfly
