// The layer on the laptop (L7): every machine with our tag, and what is to be done about it.
//
// The provider's listing is the truth about what bills; the list of runs only says which of it is
// accounted for. Destroyed is what nobody accounts for any more: a machine past the time at which
// all its own layers must have ended it, one whose run was believed to have none, one that was
// never set up by a launch that is not alive any more, and one that no run of the list has once it
// is half an hour old (a launch of another machine would have noted its run before; younger ones
// are named and left alone, as somebody may be making them right now).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/exit_code.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "launcher/command_line.h"
#include "launcher/desk.h"
#include "launcher/state_file.h"

namespace mayfly {

enum class ReapVerdict {
  ours,       // its run is in the list and its time is not up
  young,      // of no run, and less than kStrangerAge old
  destroy,    // nobody accounts for it
  uncertain,  // a run that may have a machine which the listing does not show
};

struct ReapItem {
  std::string provider;
  InstanceId id;    // "": the listing shows none
  std::string run;  // name; "": of no run
  ReapVerdict verdict = ReapVerdict::ours;
  std::string why;  // a sentence's end: "until 2026-11-22T14:02:11Z"
};

constexpr std::chrono::minutes kStrangerAge{30};

// When the machine must have gone by its own layers: its creation, the run's limits with what
// `launch extend` added, and the fuse behind them. nullopt: the plan cannot be read.
std::optional<WallTime> gone_by(const KnownRun& run, WallTime created_at);

// Pure but for reading the plans of the runs.
std::vector<ReapItem> judge_machines(const std::string& provider,
                                     const std::vector<Instance>& listed,
                                     const std::vector<KnownRun>& runs, WallTime now);

// `launch reap`, `launch down --orphans`: lists, destroys, confirms, says what it did. Exit code 9
// when something is uncertain: a provider that could not be asked, a machine whose end was not
// confirmed, a run whose machine may still appear, a young machine of nobody's. Errors: the list's
// own; guard (the question was not answered with yes).
Result<ExitCode> reap_command(const CommandLine& line, Desk& desk);

// One line on standard error if there is something to reap; asks only providers that can be asked
// without the network. For the start of every other command.
void notice_leaks(const Desk& desk);

}  // namespace mayfly
