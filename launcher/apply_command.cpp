#include "launcher/apply_command.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json.h"
#include "core/run/plan.h"
#include "launcher/batch.h"
#include "launcher/preflight.h"
#include "launcher/run_table.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

using Outcome = std::variant<ExitCode, Failure>;

// The runs of the list whose plan says that they belong to the fleet, in order of creation.
Result<std::vector<FleetRun>> runs_of_fleet(const std::string& group, const Desk& desk) {
  const Result<std::vector<KnownRun>> known = desk.state.runs();
  if (!known) return known.error();
  std::vector<FleetRun> runs;
  for (const KnownRun& run : *known) {
    const auto plan = read_plan(run.plan);
    if (!plan || plan->config.run.group != group || run.never_created) continue;
    std::error_code code;
    runs.push_back({run.name, may_be_billing(run), run.stop_reason == "finished",
                    fs::exists(run.run_dir, code)});
  }
  return runs;
}

struct Fleet {
  std::string name;
  std::vector<Job> jobs;
};

std::variant<Fleet, Failure> read_jobs(const CommandLine& line) {
  if (line.common.config_files.empty()) {
    return Failure{{{ErrorKind::usage, "`launch apply` needs a file with a fleet or a sweep",
                     "launch apply -c lr_sweep; `launch config list` shows the names"}}};
  }
  ConfigInputs inputs = process_inputs();
  inputs.files = line.common.config_files;
  inputs.command_line = line.common.settings;
  const FleetFile file = read_fleet(inputs);
  if (!file.problems.empty()) return Failure{file.problems};
  FleetJobs made = jobs_of_fleet(file, std::move(inputs));
  if (!made.problems.empty()) return Failure{std::move(made.problems)};
  return Fleet{*made.jobs.front().config.run.group, std::move(made.jobs)};
}

// Rows in the order of the file, the planned ones with their figures; then what is destroyed.
std::variant<std::vector<RunRow>, Failure> rows_of(const CommandLine& line, std::vector<Job>& jobs,
                                                   const FleetDiff& diff, Desk& desk) {
  const auto has = [](const std::vector<std::size_t>& list, std::size_t i) {
    return std::find(list.begin(), list.end(), i) != list.end();
  };
  std::vector<RunRow> rows;
  std::vector<PlannedRun> plans;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    RunRow row{RowKind::keep, jobs[i].pod, jobs[i].run_name(), "done", std::nullopt};
    if (has(diff.wait, i)) row.state = "running";
    if (has(diff.failed, i)) row.state = "failed";
    if (has(diff.make, i)) {
      row.kind = RowKind::make;
      row.state = "new";
      auto plan = plan_job(line, jobs[i], desk);
      if (auto* failure = std::get_if<Failure>(&plan)) return std::move(*failure);
      plans.push_back(std::move(std::get<PlannedRun>(plan)));
    }
    rows.push_back(std::move(row));
  }
  if (const Status accepted = check_hub(plans, desk.clock); !accepted) {
    return Failure{{accepted.error()}};
  }
  auto plan = plans.begin();
  for (RunRow& row : rows) {
    if (row.kind == RowKind::make) row.planned = std::move(*plan++);
  }
  for (const std::string& name : diff.destroy) {
    rows.push_back({RowKind::destroy, "", name, "in no file", std::nullopt});
  }
  return rows;
}

Status destroy_extra(const std::vector<std::string>& names, const fs::path& folder,
                     const Desk& desk) {
  if (names.empty()) return Unit{};
  if (const Status made = make_folders(folder); !made) return made;
  for (const std::string& name : names) {
    const fs::path log = folder / (name + ".down.log");
    const Result<int> code = run_beside("launch", {"down", name, "--yes"}, log, desk);
    if (!code) return while_doing("destroying " + name, code.error());
    if (*code != 0) {
      return Error{ErrorKind::outcome_unknown,
                   "destroying " + name + " ended with code " + std::to_string(*code) +
                       ": it may still cost money",
                   "see " + log.string() + ", then `launch down " + name + "`"};
    }
    if (!desk.flags.json) print(name + ": gone, confirmed by the provider's listing\n");
  }
  return Unit{};
}

// The chains of the pods. With --no-deploy only those whose pod has a machine now.
std::vector<BatchPod> pods_of_fleet(const std::vector<Job>& jobs, const FleetDiff& diff,
                                    bool no_deploy) {
  std::vector<BatchPod> pods;
  std::map<std::string, std::size_t> places;
  const auto pod_of = [&](const Job& job) -> BatchPod& {
    const auto [found, is_new] = places.emplace(job.pod, pods.size());
    if (is_new) pods.push_back({job.pod, {}});
    return pods[found->second];
  };
  for (const std::size_t i : diff.wait) {
    pod_of(jobs[i]).steps.push_back({jobs[i].run_name(), jobs[i].config, true});
  }
  for (const std::size_t i : diff.make) {
    if (no_deploy && !places.contains(jobs[i].pod)) continue;
    pod_of(jobs[i]).steps.push_back({jobs[i].run_name(), jobs[i].config, false});
  }
  // A pod with nothing to start needs no watcher.
  std::erase_if(pods, [](const BatchPod& pod) {
    return std::all_of(pod.steps.begin(), pod.steps.end(),
                       [](const BatchStep& step) { return step.is_running; });
  });
  return pods;
}

void show(const std::string& fleet, const std::vector<RunRow>& rows, const ApplyFlags& flags,
          const Desk& desk) {
  if (desk.flags.json) return;
  print(styled(desk.out, Style::bold, fleet) + "\n" + run_table(rows, desk.out));
  const bool failed = std::any_of(rows.begin(), rows.end(),
                                  [](const RunRow& row) { return row.state == "failed"; });
  if (failed) note(desk, "what failed is made again when its run directory is moved away");
  if (flags.no_sync || flags.no_setup) {
    note(desk,
         "no code is synced and nothing is set up but the programs themselves, which every run "
         "brings: --no-sync and --no-setup change nothing");
  }
}

}  // namespace

FleetDiff fleet_diff(const std::vector<Job>& jobs, const std::vector<FleetRun>& runs) {
  std::map<std::string, FleetRun> newest;
  for (const FleetRun& run : runs) newest[run.name] = run;
  FleetDiff diff;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto found = newest.find(jobs[i].run_name());
    if (found == newest.end()) {
      diff.make.push_back(i);
      continue;
    }
    const FleetRun& run = found->second;
    std::vector<std::size_t>& list = run.lives   ? diff.wait
                                     : run.done  ? diff.done
                                     : run.stays ? diff.failed
                                                 : diff.make;
    list.push_back(i);
    newest.erase(found);
  }
  for (const auto& [name, run] : newest) {
    if (run.lives) diff.destroy.push_back(name);
  }
  return diff;
}

Outcome apply_command(const CommandLine& line, Desk& desk) {
  auto read = read_jobs(line);
  if (auto* failure = std::get_if<Failure>(&read)) return std::move(*failure);
  Fleet& fleet = std::get<Fleet>(read);
  const Result<std::vector<FleetRun>> runs = runs_of_fleet(fleet.name, desk);
  if (!runs) return Failure{{runs.error()}};
  FleetDiff diff = fleet_diff(fleet.jobs, *runs);
  if (!line.apply.prune) diff.destroy.clear();
  auto made = rows_of(line, fleet.jobs, diff, desk);
  if (auto* failure = std::get_if<Failure>(&made)) return std::move(*failure);
  const auto& rows = std::get<std::vector<RunRow>>(made);
  show(fleet.name, rows, line.apply, desk);
  if (line.run.dry_run) {
    if (desk.flags.json) {
      nlohmann::json document = run_table_json(rows);
      document["schema"] = "mayfly.apply/1";
      document["fleet"] = fleet.name;
      print(json_line(document) + "\n");
    } else {
      print("nothing was created\n");
    }
    return ExitCode::ok;
  }
  if (!line.apply.deploy_only || !diff.destroy.empty()) {
    if (const Status yes = confirm_rows(rows, desk); !yes) return Failure{{yes.error()}};
  }
  const fs::path folder = desk.state.path().parent_path() / "batches" / fleet.name;
  if (const Status gone = destroy_extra(diff.destroy, folder, desk); !gone) {
    return Failure{{gone.error()}};
  }
  if (line.apply.deploy_only) {
    note(desk, "a pod's machine is rented when its experiment starts, so nothing bills until then");
    return batch_end({}, desk);
  }
  const auto report =
      carry_out_batch(pods_of_fleet(fleet.jobs, diff, line.apply.no_deploy), folder, desk);
  if (!report) return Failure{{report.error()}};
  return batch_end(*report, desk);
}

}  // namespace mayfly
