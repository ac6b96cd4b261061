// What a rented machine gets once it runs, over SSH (cloud-init/receive.sh): its plan with the
// price it really has, which instance it is, its secrets, the request that ends it, the training
// data, and the programs if they have no address of their own. Until then it has nothing but an
// armed fuse.
//
// Secrets travel in the stream, never as an argument, to files that root alone can read: keys and
// tokens in memory (/run/mayfly/secrets.json), the destroy request on the disk, because it must
// survive a reboot.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/config/environment.h"
#include "core/provider/provider.h"
#include "core/result.h"
#include "core/run/plan.h"
#include "core/secret.h"
#include "launcher/desk.h"
#include "launcher/ssh_link.h"

namespace mayfly {

struct Handover {
  RunPlan plan;                           // as the laptop has it
  Offer offer;                            // that the machine was made from
  std::map<std::string, Secret> secrets;  // of the run: HF_TOKEN, ...
  Environment environment;                // where the cloud's keys are
  std::filesystem::path bundle;           // to be brought; empty: it has an address
  std::string start_script;               // to be run first; "": the provider runs it
};

// Waits until the machine can be reached and has armed its fuse, and hands over; again after a lost
// connection. Done when the machine says that it has everything. At most
// plan.config.instance.boot_timeout. Errors: failed (its start-up failed, or the provider says that
// it ended), unreachable (in time), guard (Ctrl-C), corrupt (the data), those of the destroy
// request. The machine is then still there.
Status hand_over(const Handover& handover, const Instance& instance, Provider& provider,
                 Desk& desk);

// The plan as the machine has it, whose root folder is `root` ("" but in rehearsals): its own
// paths, the offer's price. Pure.
RunPlan plan_on_machine(const RunPlan& plan, const Offer& offer, const std::string& root);

// Error: unsupported, naming what a rented machine cannot have of this run: a model, an adapter or
// a checkpoint that is a folder of this laptop, a hub that it cannot reach.
Status check_reachable_inputs(const RunConfig& config, const std::string& hub_endpoint,
                              bool hub_is_embedded, const std::string& cloud_endpoint);

}  // namespace mayfly
