// Provider `attached`: machines that run already and are not ours. Nothing is rented and nothing is
// destroyed: "creating" makes one folder on the host, ~/.mayfly/<run id>, which stands for the root
// of a machine (MAYFLY_ROOT, as on provider local), and "destroying" ends what runs from there and
// removes the folder. The host goes on, and so does its bill.
//
// What is done there is cloud-init/host.sh, over SSH from a laptop, by a shell on the host itself.
// A host that restarts keeps the folder and has no process of ours any more: `failed`.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/command.h"
#include "core/provider/provider.h"
#include "core/result.h"

namespace mayfly {

// Runs a line of sh on the host, with `input` as its standard input.
using HostShell =
    std::function<Result<CommandAnswer>(const std::string& line, std::string_view input)>;

// Where a run is, or is to be.
struct AttachedPlace {
  std::string run_id;   // hex digits
  std::string address;  // for people: user@host:port
  std::string folder;   // as a word of sh, quoted
  Price price;          // that its owner pays for the machine
  HostShell shell;
};

class AttachedProvider final : public Provider {
 public:
  // The clock outlives it.
  AttachedProvider(std::vector<AttachedPlace> places, Clock& clock);

  std::string name() const override;
  // One for each place.
  Result<std::vector<Offer>> offers() override;
  // Refused as not_found for a run without a place. The same call twice makes one folder.
  CreateOutcome create(const InstanceSpec& spec) override;
  Result<std::vector<Instance>> list_ours() override;
  Result<std::vector<Instance>> find_run(const std::string& run_id) override;
  // Error unreachable: the host was; what is there is not known then.
  Result<Instance> get(const InstanceId& id) override;
  Status terminate(const InstanceId& id) override;
  ProviderTraits traits() const override;

 private:
  Result<AttachedPlace> place_of(const InstanceId& id) const;
  std::vector<AttachedPlace> places_;
  Clock& clock_;
};

// "attached-<run id>"
InstanceId attached_id(const std::string& run_id);

// The place of the run that this process belongs to, on the host: of `id` in the folder `root`.
AttachedPlace attached_here(const InstanceId& id, const std::string& root, const Price& price);

}  // namespace mayfly
