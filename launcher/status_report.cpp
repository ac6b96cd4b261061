#include "launcher/status_report.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/run/directory.h"
#include "core/run/spend_meter.h"
#include "launcher/last_words.h"

namespace mayfly {

using nlohmann::json;

namespace {

// A launcher that died between noting a run and hearing of its machine leaves an entry behind. No
// provider takes this long to list what it made.
constexpr std::chrono::hours kNeverCreatedAfter{1};

// The machine of a run: by its id once that is known, else by the run id it carries.
ProviderAnswer ask_provider(Provider& provider, const KnownRun& run) {
  if (run.never_created) return std::optional<Instance>{};
  if (!run.progress.id.empty()) {
    Result<Instance> instance = provider.get(run.progress.id);
    if (instance) return std::optional<Instance>(std::move(*instance));
    if (instance.error().kind == ErrorKind::not_found) return std::optional<Instance>{};
    return instance.error();
  }
  Result<std::vector<Instance>> found = provider.find_run(run.run_id);
  if (!found) return found.error();
  if (found->empty()) return std::optional<Instance>{};
  return std::optional<Instance>(found->front());
}

// A launcher that was killed never noted its machine. Whoever saw it knows: the provider's listing,
// the agent that ran there, its receipt.
InstanceId seen_machine(const KnownRun& run, const ProviderAnswer& answer) {
  if (answer && *answer) return (*answer)->id;
  const RunDirectory folder{run.run_dir};
  const Result<Receipt> receipt = read_receipt(folder);
  if (receipt && receipt->run_id == run.run_id) return receipt->instance_id;
  const Result<RunStatus> agent = read_status(folder.status().string());
  if (agent && agent->run_id == run.run_id) return agent->instance_id;
  return {};
}

// The run with the id of its machine in it, if anybody knows it.
Result<KnownRun> identified(StateFile& state, KnownRun run, const ProviderAnswer& answer) {
  if (!run.progress.id.empty()) return run;
  const InstanceId id = seen_machine(run, answer);
  if (id.empty()) return run;
  run.progress = {LaunchStage::made, run.progress.attempt, id};
  const LaunchProgress progress = run.progress;
  const Status noted =
      state.update(run.run_id, [&](KnownRun& entry) { entry.progress = progress; });
  if (!noted) return noted.error();
  return run;
}

Result<std::vector<KnownRun>> chosen(const std::vector<KnownRun>& all,
                                     const StatusQuestion& question) {
  std::vector<KnownRun> runs;
  for (const std::string& name : question.names) {
    Result<KnownRun> run = find_run(all, name);
    if (!run) return run.error();
    runs.push_back(std::move(*run));
  }
  if (!question.names.empty()) return runs;
  for (const KnownRun& run : all) {
    if (question.all || may_be_billing(run) || &run == &all.back()) runs.push_back(run);
  }
  return runs;
}

// What a run ends with whose agent did not live to say so, from the reason that it began to stop
// for.
int code_of_reason(const std::string& reason) {
  constexpr std::array kCodes = {
      std::pair{std::string_view("finished"), ExitCode::ok},
      std::pair{std::string_view("spend_limit"), ExitCode::spend_limit},
      std::pair{std::string_view("ttl"), ExitCode::ttl},
      std::pair{std::string_view("idle"), ExitCode::idle},
      std::pair{std::string_view("reclaimed"), ExitCode::reclaimed},
  };
  for (const auto& [word, code] : kCodes) {
    if (word == reason) return static_cast<int>(code);
  }
  return static_cast<int>(ExitCode::training_failed);
}

// The agent's receipt; where the agent did not live to write one, what is known of its end.
Result<Receipt> receipt_to_complete(const KnownRun& run, const std::optional<Instance>& instance,
                                    Clock& clock) {
  const RunDirectory folder{run.run_dir};
  Result<Receipt> written = read_receipt(folder);
  if (written && written->run_id == run.run_id) return written;
  if (!written && written.error().kind != ErrorKind::not_found) return written;
  Receipt receipt;
  receipt.run_id = run.run_id;
  receipt.run_name = run.name;
  receipt.provider = run.provider;
  receipt.instance_id = run.progress.id;
  receipt.reason =
      run.stop_reason.empty() ? "ended without a word from its agent" : run.stop_reason;
  receipt.exit_code = static_cast<int>(ExitCode::training_failed);
  receipt.created_at = instance ? instance->created_at : run.created_at;
  receipt.destroy_asked_at = clock.now();
  receipt.destroy_answer = "seen to be gone by `launch` or `status`";
  Result<RunStatus> agent = read_status(folder.status().string());
  const bool final = agent && agent->run_id == run.run_id && agent->exit_code;
  // The last that a rented machine said may have come to the hub alone.
  if (!final && run.provider != "local" && fetch_last_words(run, clock)) {
    agent = read_status(folder.status().string());
  }
  if (agent && agent->run_id == run.run_id) {
    if (run.stop_reason.empty() && !agent->reason.empty()) receipt.reason = agent->reason;
    receipt.exit_code = agent->exit_code.value_or(code_of_reason(agent->reason));
    for (const UploadReport& upload : agent->uploads) {
      if (upload.state == "safe") receipt.safe_branches.push_back(upload.label);
    }
  }
  return receipt;
}

double usd_number(Usd amount) {
  return static_cast<double>(amount.micros) / 1e6;
}

std::string_view state_name(InstanceState state) {
  switch (state) {
    case InstanceState::pending:
      return "pending";
    case InstanceState::running:
      return "running";
    case InstanceState::terminating:
      return "terminating";
    case InstanceState::gone:
      return "gone";
    case InstanceState::failed:
      return "failed";
  }
  return "?";
}

json instance_json(const Instance& instance, const std::string& provider) {
  return {{"provider", provider},
          {"id", instance.id},
          {"run_id", instance.run_id},
          {"state", state_name(instance.state)},
          {"created_at", format_utc(instance.created_at)},
          {"ended_at", instance.ended_at ? json(format_utc(*instance.ended_at)) : json(nullptr)},
          {"rate_usd_per_hour", usd_number(instance.price.per_hour)},
          {"address", instance.address}};
}

json run_json(const RunView& view) {
  // The agent's own document is the base; what is known better here replaces it.
  RunStatus status = view.agent.value_or(RunStatus{});
  status.run_id = view.known.run_id;
  status.name = view.known.name;
  if (!view.agent) status.updated_at = view.known.created_at;
  // The receipt of a machine that ended between two looks knows more.
  if (view.receipt && !status.exit_code) status.exit_code = view.receipt->exit_code;
  json object = status_to_json(status);
  object.erase("schema");
  object["state"] = view.state;
  object["agent_time"] = view.agent ? json(format_utc(view.agent->updated_at)) : json(nullptr);
  object.erase("time");
  json instance = {
      {"provider", view.known.provider},
      {"id", view.known.progress.id},
      {"state", view.instance ? json(state_name(view.instance->state)) : json(nullptr)}};
  if (view.instance) instance = instance_json(*view.instance, view.known.provider);
  object["instance"] = std::move(instance);
  object["spend"]["usd"] = usd_number(view.spent);
  object["spend"]["rate_usd_per_hour"] = usd_number(view.known.price.per_hour);
  object["spend"]["limit_usd"] = usd_number(view.known.spend_limit);
  object["spend"]["source"] = "computed";  // price times time; no provider's own bill is read yet
  object["hub"] = {{"endpoint", view.known.hub_endpoint}, {"repo", view.known.hub_repo}};
  object["run_dir"] = view.known.run_dir;
  object["receipt"] = nullptr;
  if (view.receipt) {
    object["receipt"] =
        view.receipt->state == ReceiptState::confirmed ? "confirmed" : "accepted-unconfirmed";
  }
  object["stale"] = view.stale;
  object["attention"] = view.attention;
  return object;
}

}  // namespace

Result<bool> settle_run(StateFile& state, Provider& provider, const KnownRun& entry, Clock& clock) {
  if (!may_be_billing(entry)) return true;
  const ProviderAnswer first = ask_provider(provider, entry);
  if (!first) return first.error();
  const Result<KnownRun> known = identified(state, entry, first);
  if (!known) return known.error();
  const KnownRun& run = *known;
  const ProviderAnswer answer = entry.progress.id.empty() ? ask_provider(provider, run) : first;
  if (!answer) return answer.error();
  const bool ended =
      *answer ? (*answer)->state == InstanceState::gone : run.progress.stage == LaunchStage::made;
  if (!ended) {
    const bool forgotten = !*answer && clock.now() - run.created_at > kNeverCreatedAfter;
    if (!forgotten) return false;
    const Status noted =
        state.update(run.run_id, [](KnownRun& stored) { stored.never_created = true; });
    if (!noted) return noted.error();
    return true;
  }
  Result<Receipt> receipt = receipt_to_complete(run, *answer, clock);
  if (!receipt) return receipt.error();
  const Result<Receipt> complete = confirm_receipt(*receipt, provider, run.price, clock);
  if (!complete) return complete.error();
  const RunDirectory folder{run.run_dir};
  if (const Status made = make_folders(folder.root); !made) return made.error();
  if (const Status written = write_receipt(folder, *complete); !written) return written.error();
  const WallTime gone_at =
      complete->ended_at.value_or(complete->gone_listed_at.value_or(clock.now()));
  const Status noted = state.update(run.run_id, [&](KnownRun& stored) {
    stored.gone_at = gone_at;
    stored.stop_reason = complete->reason;
  });
  if (!noted) return noted.error();
  return true;
}

namespace {

// The run as all sources have it; those that fail are named in `stale`, and in the report's errors.
RunView look_at(StateFile& state, const StatusSources& sources, KnownRun run, StatusReport& report,
                Clock& clock) {
  const Result<Provider*> provider = sources.provider(run.provider);
  if (!provider) {
    if (may_be_billing(run)) {
      report.errors.push_back(while_doing("settling " + run.name, provider.error()));
    }
    return view_run(run, provider.error(), clock.now());
  }
  const Status refreshed = sources.refresh(run);
  const Result<bool> over = settle_run(state, **provider, run, clock);
  if (!over) report.errors.push_back(while_doing("settling " + run.name, over.error()));
  // Settling may have noted the machine, or its end.
  if (const auto fresh = state.runs(); over && fresh) {
    if (auto stored = find_run(*fresh, run.run_id)) run = std::move(*stored);
  }
  RunView view = view_run(run, ask_provider(**provider, run), clock.now());
  if (!refreshed && may_be_billing(run)) {
    view.stale.push_back("machine: " + refreshed.error().message);
  }
  return view;
}

void find_orphans(const StatusSources& sources, const std::vector<KnownRun>& runs,
                  StatusReport& report) {
  for (const std::string& name : sources.listed) {
    const Result<Provider*> provider = sources.provider(name);
    const Result<std::vector<Instance>> ours =
        provider ? (*provider)->list_ours() : Result<std::vector<Instance>>(provider.error());
    if (!ours) {
      report.errors.push_back(while_doing("listing our machines at " + name, ours.error()));
      continue;
    }
    for (const Instance& instance : *ours) {
      const bool known = std::any_of(runs.begin(), runs.end(), [&](const KnownRun& run) {
        return run.run_id == instance.run_id && !run.never_created;
      });
      if (known || instance.state == InstanceState::gone) continue;
      report.orphans.push_back({instance, name});
    }
  }
}

}  // namespace

Result<StatusReport> gather_status(StateFile& state, const StatusSources& sources,
                                   const StatusQuestion& question, Clock& clock) {
  Result<std::vector<KnownRun>> all = state.runs();
  if (!all) return all.error();
  const Result<std::vector<KnownRun>> runs = chosen(*all, question);
  if (!runs) return runs.error();
  StatusReport report;
  for (const KnownRun& run : *runs) {
    report.runs.push_back(look_at(state, sources, run, report, clock));
  }
  find_orphans(sources, *all, report);
  report.time = clock.now();
  return report;
}

json status_json(const StatusReport& report) {
  json document = {{"schema", "mayfly.status/1"},
                   {"time", format_utc(report.time)},
                   {"runs", json::array()},
                   {"orphans", json::array()},
                   {"errors", json::array()}};
  for (const RunView& view : report.runs) document["runs"].push_back(run_json(view));
  for (const Orphan& orphan : report.orphans) {
    document["orphans"].push_back(instance_json(orphan, orphan.provider));
  }
  for (const Error& error : report.errors) document["errors"].push_back(error.message);
  return document;
}

ExitCode status_code(const StatusReport& report) {
  if (!report.orphans.empty()) return ExitCode::orphan;
  const bool attention = std::any_of(report.runs.begin(), report.runs.end(),
                                     [](const RunView& run) { return !run.attention.empty(); });
  return attention || !report.errors.empty() ? ExitCode::needs_attention : ExitCode::ok;
}

}  // namespace mayfly
