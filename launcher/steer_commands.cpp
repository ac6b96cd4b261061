#include "launcher/steer_commands.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/json.h"
#include "core/run/directory.h"
#include "core/run/request.h"
#include "core/run/run_status.h"
#include "launcher/mirror.h"

namespace mayfly {

using namespace std::chrono_literals;

namespace {

// The agent looks four times a second.
constexpr auto kTakenWithin = 5s;
// And writes its status at once when a limit has changed, else every two seconds.
constexpr auto kToldWithin = 5s;
constexpr auto kToldFromAfarWithin = 20s;

// `request` as it lies in the folder, until the agent takes it.
std::optional<Request> still_waiting(const RunDirectory& run, const Request& request) {
  for (Request& other : waiting_requests(run)) {
    if (other.kind == request.kind && other.at == request.at) return std::move(other);
  }
  return std::nullopt;
}

// Whether the agent took it while we looked.
Result<bool> ask(const KnownRun& run, const Request& request, Desk& desk) {
  const Status sent = deliver_request(run, request, desk);
  if (!sent) return while_doing("asking the agent of " + run.name, sent.error());
  if (is_elsewhere(run)) return true;  // it lies where the agent looks four times a second
  const RunDirectory folder{run.run_dir};
  const SteadyTime give_up_at = desk.clock.steady_now() + kTakenWithin;
  while (still_waiting(folder, request)) {
    if (desk.clock.steady_now() >= give_up_at) return false;
    desk.clock.sleep_for(100ms);
  }
  return true;
}

Result<Request> request_for(const CommandLine& line, RequestKind kind, Desk& desk) {
  Request request;
  request.kind = kind;
  request.by = "launch " + line.verb;
  request.at = desk.clock.now();
  if (kind != RequestKind::extend) return request;
  if (line.extend.hours == 0 && line.extend.spend.micros == 0) {
    return Error{ErrorKind::usage, "`launch extend` needs --hours, --usd or both",
                 "such as: launch extend --hours 1 --usd 5"};
  }
  request.minutes = line.extend.hours * 60;
  request.spend = line.extend.spend;
  return request;
}

// More money: ask, where there is somebody to ask. This machine costs nothing, whatever it
// pretends.
Status confirm(const KnownRun& run, const CommandLine& line, const Desk& desk) {
  if (run.provider == "local" || desk.flags.yes) return Unit{};
  if (::isatty(STDIN_FILENO) == 0 || desk.flags.json) {
    return Error{ErrorKind::guard, "this may cost money and there is nobody to ask", "give --yes"};
  }
  std::fprintf(stderr, "Let %s run %.3g hours and spend %s more? [y/N] ", run.name.c_str(),
               line.extend.hours, format_usd(line.extend.spend).c_str());
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return Unit{};
  return Error{ErrorKind::guard, "nothing was changed: the question was not answered with yes"};
}

// The limits that an extension is about, as the agent says they stand.
struct LimitsNow {
  double usd = 0;
  double ttl_seconds = 0;
  std::vector<std::string> warnings;

  bool operator==(const LimitsNow& other) const {
    return usd == other.usd && ttl_seconds == other.ttl_seconds;
  }
};

std::optional<LimitsNow> limits_now(const KnownRun& run, const Desk& desk) {
  if (!refresh_mirror(run, MirrorDepth::status, desk)) return std::nullopt;
  const Result<RunStatus> status = read_status(RunDirectory{run.run_dir}.status().string());
  if (!status || status->run_id != run.run_id) return std::nullopt;
  LimitsNow now;
  for (const GuardReport& guard : status->guards) {
    if (guard.name == "spend") now.usd = guard.limit;
    if (guard.name == "ttl") now.ttl_seconds = guard.limit;
  }
  now.warnings = status->warnings;
  return now;
}

// What the agent said since, if anything.
std::string new_warning(const LimitsNow& before, const LimitsNow& after) {
  for (const std::string& warning : after.warnings) {
    if (std::find(before.warnings.begin(), before.warnings.end(), warning) ==
        before.warnings.end()) {
      return warning;
    }
  }
  return "";
}

std::string ttl_text(double seconds) {
  return seconds > 0 ? format_duration(std::chrono::seconds(std::llround(seconds))) : "none";
}

}  // namespace

Result<KnownRun> live_run(const CommandLine& line, const Desk& desk) {
  Result<std::vector<KnownRun>> runs = desk.state.runs();
  if (!runs) return runs.error();
  if (line.words.size() > 1) {
    return Error{ErrorKind::usage, "`launch " + line.verb + "` takes one run"};
  }
  if (!line.words.empty()) {
    Result<KnownRun> run = find_run(*runs, line.words.front());
    if (run && !may_be_billing(*run)) {
      return Error{ErrorKind::not_found, run->name + " has ended",
                   "see what it left with `launch logs " + run->name + "`"};
    }
    return run;
  }
  std::erase_if(*runs, [](const KnownRun& run) { return !may_be_billing(run); });
  if (runs->size() == 1) return runs->front();
  if (runs->empty()) {
    return Error{ErrorKind::not_found, "no run has a machine now", "see all with `status --all`"};
  }
  std::string names;
  for (const KnownRun& run : *runs) names += " " + run.name;
  return Error{ErrorKind::usage, "several runs go on:" + names,
               "name one: launch " + line.verb + " " + runs->back().name};
}

Result<ExitCode> checkpoint_command(const CommandLine& line, Desk& desk) {
  const Result<KnownRun> run = live_run(line, desk);
  if (!run) return run.error();
  const Result<Request> request = request_for(line, RequestKind::checkpoint, desk);
  const Result<bool> taken = ask(*run, *request, desk);
  if (!taken) return taken.error();
  if (desk.flags.json) {
    print(json_line({{"ok", true}, {"run", run->name}, {"taken", *taken}}) + "\n");
  } else if (*taken) {
    print(run->name + ": the agent has taken it; it saves at the next step and trains on\n");
  } else {
    print(run->name + ": its agent has not taken the request yet; it is kept for it (`status " +
          run->name + "` shows whether the agent lives)\n");
  }
  return *taken ? ExitCode::ok : ExitCode::needs_attention;
}

Result<ExitCode> extend_command(const CommandLine& line, Desk& desk) {
  const Result<KnownRun> run = live_run(line, desk);
  if (!run) return run.error();
  const Result<Request> request = request_for(line, RequestKind::extend, desk);
  if (!request) return request.error();
  if (const Status yes = confirm(*run, line, desk); !yes) return yes.error();
  const std::optional<LimitsNow> before = limits_now(*run, desk);
  const Result<bool> taken = ask(*run, *request, desk);
  if (!taken) return taken.error();
  const RunDirectory folder{run->run_dir};
  const auto left = *taken ? std::nullopt : still_waiting(folder, *request);
  if (left || !before) {
    // Left behind it would raise the limits whenever an agent comes back: not what was asked now.
    if (left) close_request(folder, *left);
    return Error{ErrorKind::unreachable, "the agent of " + run->name + " does not answer",
                 "nothing was changed; see `status " + run->name + "`"};
  }
  std::optional<LimitsNow> after = limits_now(*run, desk);
  const SteadyTime give_up_at =
      desk.clock.steady_now() + (is_elsewhere(*run) ? kToldFromAfarWithin : kToldWithin);
  while ((!after || (*after == *before && new_warning(*before, *after).empty())) &&
         desk.clock.steady_now() < give_up_at) {
    desk.clock.sleep_for(100ms);
    after = limits_now(*run, desk);
  }
  if (!after || *after == *before) {
    const std::string why = after ? new_warning(*before, *after) : "";
    return Error{ErrorKind::guard,
                 run->name + " was not extended" + (why.empty() ? "" : ": " + why),
                 "a run that has begun to stop is not extended, and no limit more than doubles"};
  }
  const double more_seconds = std::max(0.0, after->ttl_seconds - before->ttl_seconds);
  const Status noted = desk.state.update(run->run_id, [&](KnownRun& entry) {
    entry.spend_limit.micros = std::llround(after->usd * 1e6);
    entry.extra_minutes += more_seconds / 60;
  });
  if (!noted) return while_doing("noting the new limits of " + run->name, noted.error());
  if (desk.flags.json) {
    print(json_line({{"ok", true},
                     {"run", run->name},
                     {"spend_limit_usd", after->usd},
                     {"ttl_seconds", after->ttl_seconds}}) +
          "\n");
  } else {
    const auto dollars_of = [](double usd) { return format_usd({std::llround(usd * 1e6)}); };
    print(run->name + ": spend limit " + dollars_of(before->usd) + " -> " + dollars_of(after->usd) +
          ", time limit " + ttl_text(before->ttl_seconds) + " -> " + ttl_text(after->ttl_seconds) +
          "\n");
  }
  return ExitCode::ok;
}

}  // namespace mayfly
