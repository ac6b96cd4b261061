#include "launcher/resume_command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <map>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/atomic_file.h"
#include "core/http/curl_client.h"
#include "core/json.h"
#include "core/run/checkpoint_folder.h"
#include "core/store/hub.h"
#include "core/store/hub_download.h"
#include "launcher/hub_command.h"

namespace mayfly {

namespace fs = std::filesystem;

namespace {

constexpr const char* kStateFile = "resume.json";

// The step in the branch's resume.json; nullopt where there is none.
Result<std::optional<PlannedResume>> look_at_branch(HubSession& hub, const HubRepo& repo,
                                                    const std::string& branch,
                                                    const fs::path& scratch) {
  std::error_code code;
  fs::remove_all(scratch, code);
  const Result<Snapshot> got = download_snapshot(
      hub,
      {.repo = repo, .revision = branch, .allow = {kStateFile, kManifestName}, .folder = scratch});
  if (!got && got.error().kind == ErrorKind::not_found) return std::optional<PlannedResume>{};
  if (!got) return got.error();
  const Result<std::string> text = read_file(scratch / kStateFile);
  const Result<std::vector<ManifestEntry>> manifest = read_manifest(scratch);
  fs::remove_all(scratch, code);
  if (!text || !manifest) return std::optional<PlannedResume>{};
  const Result<nlohmann::json> saved = parse_json(*text, branch + ": " + kStateFile);
  if (!saved) return saved.error();
  const auto step = saved->find("step");
  if (step == saved->end() || !step->is_number_integer()) return std::optional<PlannedResume>{};
  return std::optional(
      PlannedResume{repo.name.full(), got->commit, branch, step->get<std::int64_t>()});
}

Result<HubAddress> hub_of(const RunPlan& plan, Desk& desk) {
  Result<HubAddress> address =
      address_for(HubCommand{{"ls", plan.hub_repo}, false, false}, desk.clock);
  const bool stand_in = plan.hub_repo.starts_with("local/");
  if (address && !stand_in && !plan.hub_endpoint.empty()) address->endpoint = plan.hub_endpoint;
  return address;
}

// "one-resumed", "one-resumed-2", ...: the first that neither a run nor a folder has.
std::string free_name(const std::string& name, const RunConfig& config,
                      const std::vector<KnownRun>& known) {
  const std::string first = name + "-resumed";
  for (int number = 1;; ++number) {
    const std::string wanted = number == 1 ? first : first + "-" + std::to_string(number);
    std::error_code code;
    const bool taken = fs::exists(fs::path(config.paths.outputs_dir) / wanted, code) ||
                       std::any_of(known.begin(), known.end(),
                                   [&](const KnownRun& run) { return run.name == wanted; });
    if (!taken) return wanted;
  }
}

// The settings of the plan, for a run of its own.
RunConfig config_of(const RunPlan& plan, const HubAddress& address,
                    const std::vector<KnownRun>& known) {
  RunConfig config = plan.config;
  config.run.name = free_name(plan.run_name, config, known);
  config.run.seeds = {plan.seed};
  config.hub.repo = plan.hub_repo;
  config.hub.repo_prefix.reset();
  config.train.resume_from.reset();
  // The stand-in's token is its own; a token here would mean huggingface.co.
  if (!plan.hub_repo.starts_with("local/")) config.hub.token = address.token;
  return config;
}

Result<RunPlan> plan_of_ended(const KnownRun& run) {
  if (may_be_billing(run)) {
    return Error{ErrorKind::guard, run.name + " may still have a machine",
                 "`launch stop " + run.name + "` saves and ends it; look with `status`"};
  }
  Result<RunPlan> plan = read_plan(run.plan);
  if (!plan) return while_doing("reading the plan of " + run.name, plan.error());
  if (plan->hub_repo.empty()) {
    return Error{ErrorKind::unsupported, run.name + " published nothing, so nothing is left of it"};
  }
  return plan;
}

}  // namespace

std::vector<std::string> newest_branches(const std::vector<std::string>& branches) {
  constexpr std::array kKinds = {std::string_view("checkpoint-epoch-"),
                                 std::string_view("stopped-step-")};
  std::map<std::string_view, std::pair<long long, std::string>> best;
  for (const std::string& branch : branches) {
    for (const std::string_view kind : kKinds) {
      if (!branch.starts_with(kind)) continue;
      long long number = -1;
      const char* const end = branch.data() + branch.size();
      const auto read = std::from_chars(branch.data() + kind.size(), end, number);
      if (read.ec != std::errc() || read.ptr != end) continue;
      auto& found = best.try_emplace(kind, -1, "").first->second;
      if (number > found.first) found = {number, branch};
    }
  }
  std::vector<std::string> newest;
  for (const auto& [kind, found] : best) newest.push_back(found.second);
  return newest;
}

Result<PlannedResume> newest_resumable(HubSession& hub, const std::vector<std::string>& repos,
                                       const std::string& from) {
  std::optional<PlannedResume> best;
  const fs::path scratch =
      fs::temp_directory_path() / ("mayfly-resume-" + std::to_string(::getpid()));
  for (const std::string& full : repos) {
    const Result<RepoName> name = parse_repo_name(full);
    if (!name) return name.error();
    const HubRepo repo{RepoKind::model, *name};
    std::vector<std::string> branches = {from};
    if (from.empty()) {
      const Result<std::vector<std::string>> all = HubStore(hub, repo, false).branches();
      if (!all && all.error().kind == ErrorKind::not_found) continue;
      if (!all) return all.error();
      branches = newest_branches(*all);
    }
    for (const std::string& branch : branches) {
      const auto found = look_at_branch(hub, repo, branch, scratch);
      if (!found) return while_doing("looking at " + full + "@" + branch, found.error());
      if (*found && (!best || (*found)->step > best->step)) best = *found;
    }
  }
  if (best) return *best;
  return Error{ErrorKind::not_found,
               "no checkpoint on the hub has what a run goes on from" +
                   (from.empty() ? "" : ", in the branch " + from),
               "`hub.optimizer_state: all` uploads that; the adapter alone is fetched by "
               "`launch pull`"};
}

std::variant<ExitCode, Failure> resume_command(const CommandLine& line, Desk& desk) {
  const auto failed = [](Error error) { return Failure{{std::move(error)}}; };
  if (line.words.size() != 1) {
    return failed({ErrorKind::usage, "`launch resume` takes one run", "see them: status --all"});
  }
  const Result<std::vector<KnownRun>> known = desk.state.runs();
  if (!known) return failed(known.error());
  const Result<KnownRun> run = find_run(*known, line.words.front());
  if (!run) return failed(run.error());
  const Result<RunPlan> plan = plan_of_ended(*run);
  if (!plan) return failed(plan.error());
  const Result<HubAddress> address = hub_of(*plan, desk);
  if (!address) return failed(address.error());
  CurlHttpClient http(curl_options_from_environment());
  HubSession hub(http, desk.clock, *address);
  std::vector<std::string> repos = {plan->hub_repo};
  if (plan->config.hub.fallback_repo) repos.push_back(*plan->config.hub.fallback_repo);
  const Result<PlannedResume> from = newest_resumable(hub, repos, line.from);
  if (!from) return failed(from.error());

  auto planned = plan_run(line, config_of(*plan, *address, *known), desk);
  if (auto* failure = std::get_if<Failure>(&planned)) return std::move(*failure);
  PlannedRun& next = std::get<PlannedRun>(planned);
  next.plan.resume = *from;
  next.notes.push_back("goes on with " + run->name + " from step " + std::to_string(from->step) +
                       " (" + from->repo + "@" + from->branch +
                       "); the estimate is of the whole run");
  return carry_out_plan(line, std::move(next), desk);
}

}  // namespace mayfly
