// From a list of offers to one machine that runs, or to none: the procedure above launch_once.
//
// A machine that was made is looked at until it runs. First of all it is asked whether the provider
// kept the limits that went with the create call; a provider that did not is not trusted with a
// machine. One that fails, vanishes or does not come up in time is destroyed, and only when the
// provider's listing confirms that is the next offer tried. What cannot be confirmed ends the
// procedure: two machines for one run cost more than none.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "core/clock.h"
#include "core/provider/destroy.h"
#include "core/provider/launch_once.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

struct RentPatience {
  LaunchPatience launch = kLaunchPatience;
  DestroyPatience destroy = kDestroyPatience;
  // Until the provider says that it runs; some clouds behind a broker take ten minutes.
  std::chrono::milliseconds boot = std::chrono::minutes(15);
  std::chrono::milliseconds between_looks = std::chrono::seconds(10);
  // Asked while a machine boots: somebody does not want it any more. It is destroyed then.
  std::function<bool()> interrupted = {};
  // How long a new machine may be missing from get and what it is asked about its limits.
  std::chrono::milliseconds vanish = std::chrono::seconds(60);
};

// Errors: those of launch_once; refused, when the limits were not kept; the failure of the last
// offer's machine (failed); guard, when it was interrupted; outcome_unknown, when a machine may be
// left, with its id.
Result<Instance> rent(Provider& provider, const InstanceSpec& spec, std::vector<Offer> offers,
                      const LaunchProgress& before, LaunchJournal& journal, Clock& clock,
                      const RentPatience& patience);

// Looks until the machine runs. Errors: failed (it says so, ended, or vanished), unreachable (not
// within `patience.boot`), unauthorized.
Result<Instance> wait_until_running(Provider& provider, const InstanceId& id, Clock& clock,
                                    const RentPatience& patience);

// Whether the provider noted the limits that `asked` has, as far as it keeps any (ProviderTraits).
// Errors: refused (it did not; says what differs), those of limits_of.
Status check_limits(Provider& provider, const InstanceId& id, const ServerLimits& asked);

}  // namespace mayfly
