// A run's machine at a cloud: rented, set up over SSH, or gone again.
//
// The machine is destroyed, and its end confirmed, if it cannot be set up, and on Ctrl-C before it
// is: afterwards it has an agent of its own, and this laptop is not needed any more.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config/environment.h"
#include "core/provider/launch_once.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "core/secret.h"
#include "launcher/desk.h"

namespace mayfly {

struct CloudLaunch {
  RunPlan plan;
  std::vector<Offer> offers;  // to be tried, in this order
  std::map<std::string, Secret> secrets;
  Environment environment;  // with the cloud's keys
  std::filesystem::path cache;
  std::filesystem::path programs;
};

// The start-up file that a machine of this provider gets. `host_key`: private and public, or both
// "".
Result<std::string> cloud_user_data(const RunPlan& plan, BootForm form, const std::string& host_key,
                                    const std::string& host_public_key);

// Errors: those of rent and hand_over; outcome_unknown when a machine may be left, with its id.
Result<Instance> launch_on_cloud(const CloudLaunch& launch, Provider& provider,
                                 LaunchJournal& journal, Desk& desk);

}  // namespace mayfly
