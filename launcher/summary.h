// What a person wants to know when a run is over: how it ended, what was published, what it cost,
// the proof that the machine is gone, and how to load the result.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/exit_code.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "core/terminal.h"
#include "launcher/desk.h"
#include "launcher/run_view.h"

namespace mayfly {

// `hub_is_embedded` only changes the lines that load the adapter.
std::string summary_text(const RunView& run, const RunPlan& plan, const Terminal& terminal);
nlohmann::json summary_json(const RunView& run);

// How the run ended: the agent's exit code; 9 when the machine's end is not confirmed; 10 when it
// is gone without a word.
ExitCode end_code(const RunView& run);

// Prints the summary of a run whose machine is gone; returns its exit code.
Result<ExitCode> print_summary(const RunPlan& plan, Desk& desk);

}  // namespace mayfly
