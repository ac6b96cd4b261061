// This machine as a provider: an instance is a session of processes with a folder for a root.
//
// It is no short cut. The rendered user-data is executed as cloud-init would, it runs the same
// bootstrap and the same agent under the same limits, and it can be given a price. Destroying kills
// every process of the instance and looks in /proc until none is left; only then is it `gone`.
//
// Two small programs stand for the hardware, both verbs of the `agent` binary: `agent local-boot`
// is the instance's first process, `agent local-end` is the provider's back office, which ends an
// instance from outside of it.
//
// An instance whose processes died without being ended is listed as `failed` and goes on being
// billed, as a crashed machine is by every provider.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/provider/local_record.h"
#include "core/provider/provider.h"

namespace mayfly {

struct LocalOptions {
  std::filesystem::path state_dir;     // state_folder(); instances live in its folder `local`
  std::filesystem::path host_program;  // the `agent` binary
  Price price;                         // what this machine pretends to cost
};

// The `agent` beside the running program, or the running program if that is it.
std::filesystem::path default_host_program();

class LocalProvider final : public Provider {
 public:
  // The clock outlives it.
  LocalProvider(LocalOptions options, Clock& clock);

  std::string name() const override;
  Result<std::vector<Offer>> offers() override;
  CreateOutcome create(const InstanceSpec& spec) override;
  Result<std::vector<Instance>> list_ours() override;
  Result<std::vector<Instance>> find_run(const std::string& run_id) override;
  Result<Instance> get(const InstanceId& id) override;
  Status terminate(const InstanceId& id) override;

  std::filesystem::path folder_of(const InstanceId& id) const;

 private:
  Status furnish(const std::filesystem::path& folder, const InstanceId& id,
                 const InstanceSpec& spec);
  Instance as_listed(const LocalRecord& record) const;

  LocalOptions options_;
  Clock& clock_;
};

}  // namespace mayfly
