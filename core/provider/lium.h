// Lium: containers ("pods") on the machines of strangers. Client of the REST API at lium.io/api as
// the vendor's own Python client 0.32 uses it.
//
// Money: price_per_gpu is dollars an hour as a float, for one GPU; a pod's `price` is the total.
// Billing is by the second.
// Limits: termination_hours goes with the rent call and is read back as removal_scheduled_at; whole
// hours, at least one. There is no spend cap for a pod; a key can have a budget.
// Finding: pods are named mf-<run>-<attempt>; there are no tags.
// Start: nothing can be run there but by SSH, and what stands in a template stays readable, so the
// pod is made empty. The host's owner can read everything in it: no key of an account goes there.
//
// gpu_count is always sent (without it the whole node is rented). ssh_connect_cmd is taken apart
// and never run: its text is the host's.
#pragma once

#include <map>

#include "core/provider/cloud_api.h"

namespace mayfly {

class LiumProvider final : public Provider {
 public:
  // The clock outlives it.
  LiumProvider(std::unique_ptr<HttpClient> http, Clock& clock, const CloudAccess& access,
               const ApiPatience& patience = {});

  std::string name() const override {
    return "lium";
  }
  Result<std::vector<Offer>> offers() override;
  CreateOutcome create(const InstanceSpec& spec) override;
  Result<std::vector<Instance>> list_ours() override;
  Result<std::vector<Instance>> find_run(const std::string& run_id) override;
  Result<Instance> get(const InstanceId& id) override;
  Status terminate(const InstanceId& id) override;
  ProviderTraits traits() const override;
  Result<ServerLimits> limits_of(const InstanceId& id) override;
  std::optional<DestroyCall> destroy_call() const override;

 private:
  Result<std::string> template_for(const std::string& pod_name);
  void drop_template(const std::string& pod_name);

  Clock& clock_;
  CloudAccess access_;
  CloudApi api_;
  std::map<std::string, std::string> templates_;  // of pods that were asked for: name -> id
};

// Host and port of "ssh root@203.0.113.7 -p 40022"; nullopt for anything else, however similar.
struct SshTarget {
  std::string host;
  int port = 22;
};
std::optional<SshTarget> read_ssh_command(std::string_view command);

}  // namespace mayfly
