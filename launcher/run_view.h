// One run as everybody who knows of it says it stands: this machine's list, the provider's listing,
// the agent's status in the run directory, the receipt.
//
// Sources in order of trust: the provider says whether the machine exists and since when it bills;
// the agent says how far the work is. A source that fails or is old is named in `stale`; its last
// numbers are shown, never dropped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/provider/provider.h"
#include "core/provider/receipt.h"
#include "core/result.h"
#include "core/run/run_status.h"
#include "core/usd.h"
#include "launcher/state_file.h"

namespace mayfly {

struct RunView {
  KnownRun known;
  std::optional<Instance> instance;  // as the provider has it
  std::optional<RunStatus> agent;
  std::optional<Receipt> receipt;
  std::vector<std::string> stale;  // "agent: no sign of life for 2m05s"

  std::string state;  // one word: training, ..., gone, failed, not created
  Usd spent;
  std::string attention;  // why somebody should look; "": nobody need
};

// What the provider said of this run's instance: the instance, nullopt (it has none), or an error.
using ProviderAnswer = Result<std::optional<Instance>>;

// Reads the run directory's files; the rest is arithmetic.
RunView view_run(const KnownRun& known, const ProviderAnswer& provider, WallTime now);

// The agent writes its status every few seconds; after this long without, its numbers are stale.
constexpr std::chrono::seconds kAgentSilence{60};

}  // namespace mayfly
