#include "launcher/reap.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/json.h"
#include "core/process_table.h"
#include "core/provider/cloud_keys.h"
#include "core/provider/destroy.h"
#include "core/run/plan.h"
#include "launcher/cloud_access.h"
#include "launcher/make_plan.h"
#include "launcher/status_report.h"

namespace mayfly {

using nlohmann::json;

namespace {

const KnownRun* run_of(const Instance& instance, const std::vector<KnownRun>& runs) {
  const auto found = std::find_if(
      runs.begin(), runs.end(), [&](const KnownRun& run) { return run.run_id == instance.run_id; });
  return found == runs.end() ? nullptr : &*found;
}

std::string to_the_second(WallTime time) {
  return format_utc(time).substr(0, 19) + "Z";
}

ReapItem judge(const Instance& instance, const KnownRun* run, WallTime now) {
  ReapItem item;
  item.id = instance.id;
  const auto age = std::chrono::floor<std::chrono::seconds>(now - instance.created_at);
  if (run == nullptr) {
    item.verdict = age >= kStrangerAge ? ReapVerdict::destroy : ReapVerdict::young;
    item.why = "of no run of this list, " + format_duration(age) + " old";
    return item;
  }
  item.run = run->name;
  if (!may_be_billing(*run)) {
    item.verdict = ReapVerdict::destroy;
    item.why = "its run was believed to have none any more";
    return item;
  }
  // A run has one machine. Another with its id is what a lost answer of the provider left.
  if (!run->progress.id.empty() && run->progress.id != instance.id) {
    item.verdict = ReapVerdict::destroy;
    item.why = "a second machine of its run, which has " + run->progress.id;
    return item;
  }
  // Until it was set up it has nothing but its fuse, and at some clouds not even a way to end
  // itself.
  const bool cloud = cloud_row(run->provider) != nullptr;
  if (cloud && run->address.empty() && !is_alive(run->launcher)) {
    item.verdict = ReapVerdict::destroy;
    item.why = "it was never set up, and the launch that made it is not alive";
    return item;
  }
  const std::optional<WallTime> end = gone_by(*run, instance.created_at);
  if (!end) {
    item.verdict = ReapVerdict::ours;
    item.why = "its plan cannot be read, so its end is not known";
  } else if (now >= *end) {
    item.verdict = ReapVerdict::destroy;
    item.why = "it must have been gone by " + to_the_second(*end);
  } else {
    item.why = "it ends itself by " + to_the_second(*end);
  }
  return item;
}

// Work may be lost: ask, where there is somebody to ask.
Status confirm(const std::vector<ReapItem>& items, const Desk& desk) {
  std::string names;
  for (const ReapItem& item : items) {
    if (item.verdict == ReapVerdict::destroy) names += "\n  " + item.id + ": " + item.why;
  }
  if (names.empty() || desk.flags.yes || ::isatty(STDIN_FILENO) == 0 || desk.flags.json) {
    return Unit{};
  }
  std::fprintf(stderr, "Destroy these?%s\n[y/N] ", names.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return Unit{};
  return Error{ErrorKind::guard, "nothing was destroyed: the question was not answered with yes"};
}

class Reaper {
 public:
  explicit Reaper(Desk& desk) : desk_(desk) {}

  Status look() {
    Result<std::vector<KnownRun>> runs = desk_.state.runs();
    if (!runs) return runs.error();
    open_providers(*runs);
    for (const auto& [name, provider] : providers_) {
      const Result<std::vector<Instance>> listed = provider->list_ours();
      if (!listed) {
        doubts_.push_back(name + " could not be asked: " + listed.error().message);
        continue;
      }
      for (ReapItem& item : judge_machines(name, *listed, *runs, desk_.clock.now())) {
        items_.push_back(std::move(item));
      }
    }
    return Unit{};
  }

  void destroy() {
    for (const ReapItem& item : items_) {
      if (item.verdict != ReapVerdict::destroy) continue;
      const Status gone =
          destroy_until_gone(*providers_.at(item.provider), item.id, desk_.clock, kDestroyPatience);
      if (!gone) doubts_.push_back(item.id + " may still bill: " + gone.error().message);
      if (!gone) continue;
      destroyed_.insert(item.id);
      note_machine(item);
    }
    settle();
  }

  ExitCode say() const {
    const bool sure =
        doubts_.empty() && std::none_of(items_.begin(), items_.end(), [](auto& item) {
          return item.verdict == ReapVerdict::uncertain || item.verdict == ReapVerdict::young;
        });
    if (desk_.flags.json) {
      print(json_line(document(sure)) + "\n");
    } else {
      print(text());
    }
    return sure ? ExitCode::ok : ExitCode::not_verified;
  }

  const std::vector<ReapItem>& items() const {
    return items_;
  }

 private:
  // This machine, and every cloud there is a key for.
  void open_providers(const std::vector<KnownRun>& runs) {
    if (auto local = provider_of(desk_, "local")) providers_["local"] = std::move(*local);
    const auto environment = environment_to_look(desk_.state, "");
    auto clouds = environment ? clouds_of(*environment, "", desk_.clock)
                              : Result<std::vector<std::unique_ptr<Provider>>>(environment.error());
    if (clouds) {
      for (auto& cloud : *clouds) providers_[cloud->name()] = std::move(cloud);
    } else if (clouds.error().kind != ErrorKind::unauthorized) {  // that: there is no key at all
      doubts_.push_back("the clouds could not be asked: " + clouds.error().message);
    }
    for (const KnownRun& run : runs) {
      if (!may_be_billing(run) || providers_.contains(run.provider)) continue;
      if (run.provider == "attached") {
        if (auto hosts = provider_of(desk_, "attached")) providers_["attached"] = std::move(*hosts);
        continue;
      }
      doubts_.push_back(run.name + " is at " + run.provider + ", which there is no key for");
    }
  }

  // A launcher that was killed may never have noted which machine it made.
  void note_machine(const ReapItem& item) {
    const Result<std::vector<KnownRun>> runs = desk_.state.runs();
    const Result<KnownRun> run = runs && !item.run.empty()
                                     ? find_run(*runs, item.run)
                                     : Result<KnownRun>(Error{ErrorKind::not_found, ""});
    if (!run || !run->progress.id.empty()) return;
    const Status noted = desk_.state.update(run->run_id, [&](KnownRun& entry) {
      entry.progress = {LaunchStage::made, entry.progress.attempt, item.id};
    });
    if (!noted) doubts_.push_back(item.run + ": " + noted.error().message);
  }

  // Runs of the list whose machine is gone get their receipt and their end.
  void settle() {
    const Result<std::vector<KnownRun>> runs = desk_.state.runs();
    if (!runs) return;
    for (const KnownRun& run : *runs) {
      const auto provider = providers_.find(run.provider);
      if (!may_be_billing(run) || provider == providers_.end()) continue;
      const Result<bool> over = settle_run(desk_.state, *provider->second, run, desk_.clock);
      if (!over) doubts_.push_back(run.name + ": " + over.error().message);
      if (!over || !*over) continue;
      std::erase_if(items_, [&](const ReapItem& item) {
        return item.verdict == ReapVerdict::uncertain && item.run == run.name;
      });
    }
  }

  std::string_view word(const ReapItem& item) const {
    switch (item.verdict) {
      case ReapVerdict::ours:
        return "kept";
      case ReapVerdict::young:
        return "left alone";
      case ReapVerdict::destroy:
        return destroyed_.contains(item.id) ? "destroyed, confirmed" : "NOT CONFIRMED";
      case ReapVerdict::uncertain:
        return "UNCERTAIN";
    }
    return "";
  }

  json document(bool sure) const {
    json machines = json::array();
    for (const ReapItem& item : items_) {
      machines.push_back({{"provider", item.provider},
                          {"id", item.id},
                          {"run", item.run},
                          {"verdict", word(item)},
                          {"why", item.why}});
    }
    return {{"ok", sure}, {"machines", std::move(machines)}, {"doubts", doubts_}};
  }

  std::string text() const {
    std::string lines;
    for (const ReapItem& item : items_) {
      lines += item.provider + " " + (item.id.empty() ? "(no machine)" : item.id) +
               (item.run.empty() ? "" : " of " + item.run) + ": " + std::string(word(item)) + "; " +
               item.why + "\n";
    }
    for (const std::string& doubt : doubts_) lines += "UNCERTAIN: " + doubt + "\n";
    return lines.empty() ? "no machines\n" : lines;
  }

  Desk& desk_;
  std::map<std::string, std::unique_ptr<Provider>> providers_;
  std::vector<ReapItem> items_;
  std::vector<std::string> doubts_;
  std::set<InstanceId> destroyed_;
};

}  // namespace

std::optional<WallTime> gone_by(const KnownRun& run, WallTime created_at) {
  Result<RunPlan> plan = read_plan(run.plan);
  if (!plan || plan->run_id != run.run_id) return std::nullopt;
  LimitsConfig& limits = plan->config.limits;
  if (run.spend_limit > limits.spend_limit) limits.spend_limit = run.spend_limit;
  if (limits.ttl_hours) *limits.ttl_hours += run.extra_minutes / 60.0;
  return created_at + fuse_of(*plan);
}

std::vector<ReapItem> judge_machines(const std::string& provider,
                                     const std::vector<Instance>& listed,
                                     const std::vector<KnownRun>& runs, WallTime now) {
  std::vector<ReapItem> items;
  std::set<std::string> seen;
  for (const Instance& instance : listed) {
    if (instance.state == InstanceState::gone) continue;
    seen.insert(instance.run_id);
    ReapItem item = judge(instance, run_of(instance, runs), now);
    item.provider = provider;
    items.push_back(std::move(item));
  }
  for (const KnownRun& run : runs) {
    if (run.provider != provider || !may_be_billing(run) || seen.contains(run.run_id)) continue;
    items.push_back({provider, run.progress.id, run.name, ReapVerdict::uncertain,
                     "the provider does not list its machine; a late one would be seen by the next "
                     "`launch reap`"});
  }
  return items;
}

Result<ExitCode> reap_command(const CommandLine& line, Desk& desk) {
  if (!line.words.empty()) {
    return Error{ErrorKind::usage, "`launch " + line.verb + "` takes no names here",
                 "it looks at all machines; `launch down " + line.words.front() + "` ends one run"};
  }
  Reaper reaper(desk);
  if (const Status looked = reaper.look(); !looked) return looked.error();
  if (const Status yes = confirm(reaper.items(), desk); !yes) return yes.error();
  reaper.destroy();
  return reaper.say();
}

void notice_leaks(const Desk& desk) {
  const Result<std::vector<KnownRun>> runs = desk.state.runs();
  auto provider = provider_of(desk, "local");
  if (!runs || !provider) return;
  const Result<std::vector<Instance>> listed = (*provider)->list_ours();
  if (!listed) return;
  const auto items = judge_machines("local", *listed, *runs, desk.clock.now());
  const auto leaks = std::count_if(items.begin(), items.end(), [](const ReapItem& item) {
    return item.verdict == ReapVerdict::destroy;
  });
  if (leaks == 0) return;
  note(desk, std::to_string(leaks) + (leaks == 1 ? " machine bills" : " machines bill") +
                 " and nobody accounts for it: look and destroy with `launch reap`");
}

}  // namespace mayfly
