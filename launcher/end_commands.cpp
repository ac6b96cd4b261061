#include "launcher/end_commands.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/json.h"
#include "core/log.h"
#include "core/provider/destroy.h"
#include "core/run/request.h"
#include "launcher/mirror.h"
#include "launcher/provider_book.h"
#include "launcher/status_report.h"
#include "launcher/steer_commands.h"

namespace mayfly {

namespace {

// What is to end: a run of the list, or a machine that no run has.
struct Target {
  std::string name;
  std::string provider;
  std::vector<InstanceId> instances;
  std::optional<KnownRun> run;
};

Result<std::vector<KnownRun>> chosen_runs(const CommandLine& line, const Desk& desk) {
  Result<std::vector<KnownRun>> all = desk.state.runs();
  if (!all) return all;
  if (line.words.empty() && !line.down.all) {
    return Error{ErrorKind::usage, "`launch " + line.verb + "` needs the name of a run, or --all",
                 "see them with `status`"};
  }
  if (line.down.all) {
    std::erase_if(*all, [](const KnownRun& run) { return !may_be_billing(run); });
    return all;
  }
  std::vector<KnownRun> runs;
  for (const std::string& word : line.words) {
    Result<KnownRun> run = find_run(*all, word);
    if (!run) return run.error();
    runs.push_back(std::move(*run));
  }
  return runs;
}

Result<std::vector<InstanceId>> machines_of(const KnownRun& run, Provider& provider) {
  std::vector<InstanceId> ids;
  if (!run.progress.id.empty()) ids.push_back(run.progress.id);
  const Result<std::vector<Instance>> found = provider.find_run(run.run_id);
  if (!found && ids.empty()) return found.error();
  if (!found) return ids;
  for (const Instance& instance : *found) {
    if (std::find(ids.begin(), ids.end(), instance.id) == ids.end()) ids.push_back(instance.id);
  }
  return ids;
}

// Whose machine that is, of those providers that can be asked.
std::optional<Target> machine_named(const std::string& id, ProviderBook& book) {
  for (const std::string& name : book.at_hand()) {
    const Result<Provider*> provider = book.of(name);
    if (provider && (*provider)->get(id)) return Target{id, name, {id}, std::nullopt};
  }
  return std::nullopt;
}

// Runs by name; a word that is no run may be the id of a machine that the list does not know.
Result<std::vector<Target>> targets_of(const CommandLine& line, ProviderBook& book,
                                       const Desk& desk) {
  CommandLine runs_only = line;
  std::vector<Target> targets;
  const Result<std::vector<KnownRun>> known = desk.state.runs();
  if (!known) return known.error();
  runs_only.words.clear();
  for (const std::string& word : line.words) {
    if (find_run(*known, word)) {
      runs_only.words.push_back(word);
      continue;
    }
    if (auto machine = machine_named(word, book)) {
      targets.push_back(*std::move(machine));
    } else {
      runs_only.words.push_back(word);  // for the error that names the runs there are
    }
  }
  if (targets.empty() || !runs_only.words.empty() || line.down.all) {
    Result<std::vector<KnownRun>> runs = chosen_runs(runs_only, desk);
    if (!runs) return runs.error();
    for (KnownRun& run : *runs) {
      const Result<Provider*> provider = book.of(run.provider);
      if (!provider) return while_doing("ending " + run.name, provider.error());
      Result<std::vector<InstanceId>> ids = machines_of(run, **provider);
      if (!ids) return ids.error();
      targets.push_back({run.name, run.provider, std::move(*ids), std::move(run)});
    }
  }
  return targets;
}

// Work that is not saved is lost: ask, where there is somebody to ask.
Status confirm(const std::vector<Target>& targets, const Desk& desk) {
  const bool live = std::any_of(targets.begin(), targets.end(), [](const Target& target) {
    return !target.run || may_be_billing(*target.run);
  });
  if (desk.flags.yes || !live || ::isatty(STDIN_FILENO) == 0 || desk.flags.json) return Unit{};
  std::string names;
  for (const Target& target : targets) names += " " + target.name;
  std::fprintf(stderr,
               "Destroy%s now? What is not uploaded is lost; `launch stop` saves it first. [y/N] ",
               names.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return Unit{};
  return Error{ErrorKind::guard, "nothing was destroyed: the question was not answered with yes"};
}

// Asks for all ends before the first is waited for.
void ask_for_all(const std::vector<Target>& targets, ProviderBook& book) {
  for (const Target& target : targets) {
    const Result<Provider*> provider = book.of(target.provider);
    if (!provider) continue;
    for (const InstanceId& id : target.instances) {
      // Asked again, and its answer looked at, when each is waited for.
      if (const Status asked = (*provider)->terminate(id); !asked) {
        log_debug("asking for the end of " + id + ": " + asked.error().message);
      }
    }
  }
}

Status destroy(const Target& target, Provider& provider, Desk& desk) {
  for (const InstanceId& id : target.instances) {
    const Status gone = destroy_until_gone(provider, id, desk.clock, kDestroyPatience);
    if (!gone) return gone;
  }
  if (!target.run || !may_be_billing(*target.run)) return Unit{};
  if (target.instances.empty()) {
    return desk.state.update(target.run->run_id, [](KnownRun& run) { run.never_created = true; });
  }
  KnownRun run = *target.run;
  // The launcher may have died before it could note the machine: it is known now, and gone.
  if (run.progress.id.empty()) {
    run.progress = {LaunchStage::made, run.progress.attempt, target.instances.front()};
  }
  run.stop_reason = "down";
  const Status noted = desk.state.update(run.run_id, [&run](KnownRun& entry) { entry = run; });
  if (!noted) return noted;
  const Result<bool> settled = settle_run(desk.state, provider, run, desk.clock);
  if (!settled) return settled.error();
  return Unit{};
}

}  // namespace

Result<ExitCode> down_command(const CommandLine& line, Desk& desk) {
  ProviderBook book(desk);
  const Result<std::vector<Target>> targets = targets_of(line, book, desk);
  if (!targets) return targets.error();
  if (const Status yes = confirm(*targets, desk); !yes) return yes.error();
  ask_for_all(*targets, book);
  ExitCode code = ExitCode::ok;
  nlohmann::json answer = {{"ok", true}, {"runs", nlohmann::json::array()}};
  for (const Target& target : *targets) {
    const Result<Provider*> provider = book.of(target.provider);
    const Status gone = provider ? destroy(target, **provider, desk) : Status(provider.error());
    answer["runs"].push_back({{"name", target.name},
                              {"gone", static_cast<bool>(gone)},
                              {"error", gone ? "" : gone.error().message}});
    if (gone) {
      if (desk.flags.json) continue;
      const char* const gone_text =
          target.provider == "attached"
              ? ": gone from its host, confirmed there; the host goes on\n"
              : ": gone, confirmed by the provider's listing\n";
      print(target.name + (target.instances.empty() ? ": it has no machine\n" : gone_text));
      continue;
    }
    code = ExitCode::not_verified;
    answer["ok"] = false;
    if (!desk.flags.json) {
      print(target.name + ": NOT CONFIRMED, it may still cost money: " + gone.error().message +
            "\n");
    }
  }
  if (desk.flags.json) {
    print(json_line(answer) + "\n");
  } else if (targets->empty()) {
    print("there is nothing to destroy\n");
  }
  return code;
}

Result<ExitCode> stop_command(const CommandLine& line, Desk& desk) {
  Result<std::vector<KnownRun>> runs = std::vector<KnownRun>{};
  if (line.words.empty() && !line.down.all) {
    Result<KnownRun> only = live_run(line, desk);
    if (!only) return only.error();
    runs->push_back(*std::move(only));
  } else {
    runs = chosen_runs(line, desk);
  }
  if (!runs) return runs.error();
  nlohmann::json answer = {{"ok", true}, {"runs", nlohmann::json::array()}};
  for (const KnownRun& run : *runs) {
    const bool live = may_be_billing(run);
    if (live) {
      const Request request{line.down.now ? RequestKind::down_now : RequestKind::down,
                            "launch stop",
                            desk.clock.now(),
                            {}};
      const Status sent = deliver_request(run, request, desk);
      if (!sent) return while_doing("asking " + run.name + " to stop", sent.error());
    }
    answer["runs"].push_back({{"name", run.name}, {"asked", live}});
    if (desk.flags.json) continue;
    print(live ? run.name + (line.down.now ? ": asked to destroy now; see `status`\n"
                                           : ": asked to save, upload and destroy; see `status`\n")
               : run.name + ": has ended already\n");
  }
  if (desk.flags.json) print(json_line(answer) + "\n");
  if (!desk.flags.json && runs->empty()) print("there is nothing to stop\n");
  return ExitCode::ok;
}

}  // namespace mayfly
