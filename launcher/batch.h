// Several runs carried out as one: each by a `launch` of its own, so that what holds for one run
// (intent on disk, limits, destroying, receipts) holds for each of many. A pod is a place for one
// run at a time: the runs of a pod come one after another, each on a machine of its own, the pods
// side by side. This program has to stay for the next run of a pod to start; what runs goes on
// without it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/exit_code.h"
#include "core/result.h"
#include "launcher/desk.h"
#include "launcher/job.h"

namespace mayfly {

// A run of a pod: a new one, or one that is there and must end before the next begins.
struct BatchStep {
  std::string run_name;
  RunConfig config;         // of a new one
  bool is_running = false;  // wait for it
};

struct BatchPod {
  std::string name;
  std::vector<BatchStep> steps;
};

struct BatchEnd {
  std::string pod;
  std::string run_name;
  int code = -1;    // of its `launch`; -1: it was not started
  std::string log;  // what that said
};

struct BatchReport {
  std::vector<BatchEnd> ends;  // in the order they came
  bool interrupted = false;
};

// After these exit codes a pod starts nothing more: its machine may still be there (9), or the next
// would be refused for the same reason (6, 8).
bool ends_the_pod(int code);

// Files and logs of the runs go to `folder`. Says what begins and ends on standard output, but with
// --json. An interrupt ends the starting and the watching. Errors: refused, no_space (writing a
// run's file; what runs is not touched).
Result<BatchReport> carry_out_batch(const std::vector<BatchPod>& pods,
                                    const std::filesystem::path& folder, const Desk& desk);

// Prints how each run ended. The exit code of the first that did not end well; 130 after an
// interrupt.
ExitCode batch_end(const BatchReport& report, const Desk& desk);

// A program of ours with words of its own, as a child, to its end: `launch down NAME --yes`.
Result<int> run_beside(const std::string& program, std::vector<std::string> words,
                       const std::filesystem::path& log, const Desk& desk);

}  // namespace mayfly
