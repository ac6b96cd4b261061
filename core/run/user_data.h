// The user-data of an instance: the templates of cloud-init/, filled in.
//
// Values travel as base64 (the plan, the list of programs) or as a number that was made from one;
// the rest is fixed text of this project. So nothing that a user wrote can become shell or YAML.
//
// Provider local: the plan is in it, which has no secret. A rented machine gets its plan later,
// with its secrets, over SSH (launcher/handover.h): only then its price and its name are known. To
// know it again the launcher gives it a host key of its own, which is good for nothing else: who
// can read the user-data of an account's machines (every holder of its API key) could stand
// between.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/run/plan.h"

namespace mayfly {

// Providers take 16 KB (EC2: 16,384 bytes before encoding).
constexpr std::size_t kUserDataMaxBytes = 16384;

// When the layers below the agent act; docs/boot.md. `fuse` is the run's own: how long the instance
// lives at most, over all its boots, even if all else fails. The rest only tests change.
struct BootTimes {
  std::chrono::seconds fuse;
  std::chrono::seconds behind{300};  // of the fuse, after the last limit of the plan
  std::chrono::seconds start{1800};  // the agent must have said READY this long after a boot
  std::chrono::seconds tick{30};     // between two looks of the fuse
  std::chrono::seconds again{20};    // between two destroy requests of the fuse
  std::chrono::seconds look{60};     // between two looks of the watchdog
  std::chrono::seconds silent{300};  // no heartbeat for so long: the watchdog takes over
  std::chrono::seconds late{120};    // after the last limit: it takes over too
  std::chrono::seconds rescue{600};  // what saving may take then
  std::chrono::seconds notify{60};   // systemd's own watchdog (WatchdogSec)
};

// Errors: refused (too large, with the size), invalid_config (a program's name or address that
// cannot be passed on: a line break in it).
Result<std::string> render_user_data(const RunPlan& plan, const BootTimes& times);

// What a rented machine starts with.
struct CloudBoot {
  std::vector<PlannedProgram> programs;  // an address `ssh:` is handed over
  BootTimes times;
  std::string host_key;  // private, ed25519, in OpenSSH's format; "": the machine has its own
  std::string host_public_key;  // of it, one line
};
// What the vendor does with the text: cloud-init reads it, or it is run as a script.
enum class UserDataForm { cloud_config, script };

// Errors: the same.
Result<std::string> render_cloud_user_data(const CloudBoot& boot, UserDataForm form);

// A file of cloud-init/ without the comments that are for readers of the repository.
std::string without_comments(std::string_view text);

}  // namespace mayfly
