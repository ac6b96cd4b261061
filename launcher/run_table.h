// Several runs planned: the table of what is made, kept and destroyed, with hours and cost (row
// P-31), and the questions before money is spent on them.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/terminal.h"
#include "launcher/desk.h"
#include "launcher/job.h"
#include "launcher/make_plan.h"
#include "launcher/run_command.h"

namespace mayfly {

enum class RowKind { make, keep, destroy };

struct RunRow {
  RowKind kind = RowKind::make;
  std::string pod;
  std::string run_name;
  std::string state;                  // "new", "running", "done", "in no file"
  std::optional<PlannedRun> planned;  // of a new one
};

// Plans a job as `launch plan` does. The machine that the plan chose bounds the price of the one
// that is rented when the run's turn comes: job.config gets it as instance.max_price.
std::variant<PlannedRun, Failure> plan_job(const CommandLine& line, Job& job, Desk& desk);

// The table; below it the sums, at most what, and both kinds of prices. Then each run's mistakes.
std::string run_table(const std::vector<RunRow>& rows, const Terminal& terminal);
nlohmann::json run_table_json(const std::vector<RunRow>& rows);

// Mistakes and cost of what is to be made; what is to be destroyed. Error: guard.
Status confirm_rows(const std::vector<RunRow>& rows, const Desk& desk);

}  // namespace mayfly
