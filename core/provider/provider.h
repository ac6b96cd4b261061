// What every provider of machines can do. Provider files do wire formats only; procedures (intent
// before create, looking before asking again, next offer, destroying until gone) are written once
// above this interface.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/spend_meter.h"
#include "core/secret.h"

namespace mayfly {

using InstanceId = std::string;

struct Offer {
  std::string provider;
  std::string instance_type;
  std::string region;
  std::string gpu;  // "" : none
  int gpu_count = 0;
  int vram_gb = 0;  // of one GPU
  Price price;      // of the whole instance
};

struct InstanceSpec {
  std::string run_id;  // sent as tag or name with the create call
  int attempt = 1;
  Offer offer;
  std::string user_data;  // cloud-config, under 16 KB, no secret in it
  // Name -> value; delivered to a file that only root can read, never by user-data or argv.
  std::map<std::string, Secret> secrets;
};

// `terminating` and `gone` both mean that billing has ended or is ending by itself.
enum class InstanceState { pending, running, terminating, gone, failed };

struct Instance {
  InstanceId id;
  std::string run_id;
  InstanceState state = InstanceState::pending;
  WallTime created_at;  // from here on it is billed
  std::optional<WallTime> ended_at;
  Price price;
  std::string address;  // what a person would connect to; "" if nothing
};

// Creating has three outcomes. `unknown` is not a failure: something may exist, so look (find_run)
// before asking again, and never start another attempt meanwhile.
struct CreateOutcome {
  enum class Kind { made, refused, unknown };
  Kind kind;
  InstanceId id;  // when made
  Error error;    // when refused or unknown
};

class Provider {
 public:
  virtual ~Provider() = default;

  virtual std::string name() const = 0;
  virtual Result<std::vector<Offer>> offers() = 0;
  virtual CreateOutcome create(const InstanceSpec& spec) = 0;
  // Everything with our tag that is not gone; and the same for one run.
  virtual Result<std::vector<Instance>> list_ours() = 0;
  virtual Result<std::vector<Instance>> find_run(const std::string& run_id) = 0;
  // not_found when the provider no longer lists it.
  virtual Result<Instance> get(const InstanceId& id) = 0;
  // Asks for the end. An accepted request can still be lost: see destroy.h.
  virtual Status terminate(const InstanceId& id) = 0;
};

}  // namespace mayfly
