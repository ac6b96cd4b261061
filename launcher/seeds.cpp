#include "launcher/seeds.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/run/run_name.h"
#include "launcher/batch.h"
#include "launcher/preflight.h"
#include "launcher/run_table.h"

namespace mayfly {

namespace {

// The pods of the jobs: one for all on this machine, which has no room for two; one each on a
// cloud.
std::vector<BatchPod> pods_of_seeds(const std::vector<Job>& jobs, bool local) {
  std::vector<BatchPod> pods;
  for (const Job& job : jobs) {
    if (pods.empty() || !local) pods.push_back({local ? "here" : job.pod, {}});
    pods.back().steps.push_back({job.run_name(), job.config, false});
  }
  return pods;
}

}  // namespace

std::variant<ExitCode, Failure> run_seeds(const CommandLine& line, const RunConfig& config,
                                          Desk& desk) {
  const Result<std::vector<KnownRun>> known = desk.state.runs();
  if (!known) return Failure{{known.error()}};
  const Result<std::string> name =
      planned_name(config, *known, config.paths.outputs_dir, run_name_overrides());
  if (!name) return Failure{{name.error()}};
  if (line.run.user_data) {
    return Failure{{{ErrorKind::usage, "--user-data is of one run", "give one of the seeds"}}};
  }
  std::vector<Job> jobs = jobs_of_seeds(config, *name);
  std::vector<PlannedRun> plans;
  for (Job& job : jobs) {
    auto plan = plan_job(line, job, desk);
    if (auto* failure = std::get_if<Failure>(&plan)) return std::move(*failure);
    plans.push_back(std::move(std::get<PlannedRun>(plan)));
  }
  if (const Status accepted = check_hub(plans, desk.clock); !accepted) {
    return Failure{{accepted.error()}};
  }
  const std::string& provider = plans.front().plan.offer.provider;
  const bool local = provider == "local" || provider == "attached";
  std::vector<RunRow> rows;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    rows.push_back({RowKind::make, jobs[i].pod, jobs[i].run_name(), "new", std::move(plans[i])});
  }
  if (desk.flags.json && line.run.dry_run) {
    nlohmann::json document = run_table_json(rows);
    document["schema"] = "mayfly.runs/1";
    print(json_line(document) + "\n");
  } else if (!desk.flags.json) {
    print(run_table(rows, desk.out));
  }
  if (line.run.dry_run) {
    if (!desk.flags.json) print("nothing was created\n");
    return ExitCode::ok;
  }
  if (const Status yes = confirm_rows(rows, desk); !yes) return Failure{{yes.error()}};
  note(desk, local ? "one after another; this program has to stay for the next to start"
                   : "side by side, each on a machine of its own");
  const auto report = carry_out_batch(pods_of_seeds(jobs, local),
                                      desk.state.path().parent_path() / "batches" / *name, desk);
  if (!report) return Failure{{report.error()}};
  return batch_end(*report, desk);
}

}  // namespace mayfly
