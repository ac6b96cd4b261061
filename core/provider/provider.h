// What every provider of machines can do. Provider files do wire formats only; procedures (intent
// before create, looking before asking again, next offer, destroying until gone) are written once
// above this interface.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/result.h"
#include "core/run/spend_meter.h"
#include "core/secret.h"
#include "core/usd.h"

namespace mayfly {

using InstanceId = std::string;

// A machine that can be rented now, and what it costs. Texts are as the provider writes them, but
// `gpu`, which is the same word with every provider (gpu_name.h).
struct Offer {
  std::string provider;
  std::string instance_type;
  std::string region;
  std::string gpu;  // "" : none
  int gpu_count = 0;
  int vram_gb = 0;  // of one GPU
  Price price;      // of the whole instance
  // What the create call must name beside type and region; "" where there is no such thing.
  std::string cloud = {};  // whose machine a broker rents out: "hyperstack"
  std::string zone = {};   // a part of a region with a capacity of its own
  std::string host = {};   // the one machine that is meant, where machines are rented singly
  std::string image = {};  // what it boots
  // What a person may choose by. Empty or nullopt: the provider does not say.
  std::string country = {};
  std::string city = {};
  std::optional<bool> nvlink = {};
  bool spot = false;  // may be taken away while it runs
  std::optional<double> upload_mbps = {};
  std::optional<double> download_mbps = {};
  int vcpus = 0;
  int memory_gb = 0;
  int disk_gb = 0;
  int image_gb = 0;  // of disk_gb, taken by what it boots
  // Where a disk is made with the machine, as large as is asked for: what a GB of it costs for 720
  // hours. `price` holds disk_gb of it.
  std::optional<Usd> disk_gb_month = {};
};

// What ends an instance without us, kept by the provider: the net below the agent's own limits.
struct ServerLimits {
  std::optional<WallTime> end_by = {};
  std::optional<Usd> spend_cap = {};
  bool power_off_ends_billing = false;
};

struct InstanceSpec {
  std::string run_id;  // sent as tag or name with the create call
  int attempt = 1;
  Offer offer;
  std::string user_data;  // cloud-config, under 16 KB, no secret in it
  // Name -> value; delivered to a file that only root can read, never by user-data or argv.
  std::map<std::string, Secret> secrets;
  // Who may log in; one line as in authorized_keys. Some providers create nothing without one.
  std::string ssh_public_key = {};
  // Sent with the create call itself, never after, to providers that keep them (ProviderTraits).
  ServerLimits limits = {};
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
  std::string ssh_user = {};
  int ssh_port = 22;
  std::optional<Usd> billed = {};  // so far, as the provider says; nullopt: it does not
  std::string detail = {};         // the provider's own words about its state
};

// Creating has three outcomes. `unknown` is not a failure: something may exist, so look (find_run)
// before asking again, and never start another attempt meanwhile.
//
// Refused as unreachable or rate_limited: nothing ran, and the same request may be sent later.
struct CreateOutcome {
  enum class Kind { made, refused, unknown };
  Kind kind;
  InstanceId id;  // when made
  Error error;    // when refused or unknown
  // Refused for more than this offer: a quota holds for all offers of the region and market.
  bool region_too = false;
  std::optional<std::chrono::seconds> ask_again_after = {};  // when rate_limited and it says so
};

// How a machine is told what to do at its start.
enum class BootForm {
  cloud_config,  // its user-data is read by cloud-init
  script,        // its user-data is run as a script
  over_ssh,      // it has none: the script is run over SSH
};

// What differs between providers in how they are dealt with; facts of the vendor, not of an
// account. The defaults are those of a provider that lists what it made at once.
struct ProviderTraits {
  bool keeps_end_time = false;   // ServerLimits::end_by
  bool keeps_spend_cap = false;  // ServerLimits::spend_cap
  bool power_off_ends_billing = false;
  // The same create call (run and attempt) sent twice makes one machine.
  bool same_create_is_safe = false;
  // A machine that its listing has not shown for LaunchPatience::look_for was never made. False: it
  // may come up later, so nothing else is asked for.
  bool absence_is_proof = true;
  // A machine that is missing from a listing is looked for once more after this; 0: it is gone.
  std::chrono::seconds second_look{0};
  BootForm boot = BootForm::cloud_config;
  std::string console_url = {};  // where a person can look and destroy
};

// The request that ends an instance, as data: for a machine's own boot fuse, which must work when
// none of our programs does. The id is put in for "{id}" in url and body.
struct DestroyCall {
  std::string method;
  std::string url;
  std::string body;                                     // "" : none
  std::vector<std::pair<std::string, Secret>> headers;  // the key is in one of them
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

  virtual ProviderTraits traits() const {
    return {};
  }
  // What the provider itself has noted of the limits that were sent with create.
  virtual Result<ServerLimits> limits_of(const InstanceId&) {
    return ServerLimits{};
  }
  // nullopt: none is needed or possible (see ProviderTraits::power_off_ends_billing).
  virtual std::optional<DestroyCall> destroy_call() const {
    return std::nullopt;
  }
};

}  // namespace mayfly
