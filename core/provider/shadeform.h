// Shadeform: a broker of virtual machines on many clouds. API v1, https://docs.shadeform.ai.
//
// Money: hourly_price is whole cents for the whole instance. Billing is passed on from the cloud
// behind it and taken as by the minute. It ends when the status is `deleting`.
// Limits: auto_delete keeps a latest end and a spend cap on the vendor's side; both go with create
// and are read back from /info.
// Finding: instances carry the tag mayfly-run=<run id>; the id of a new one is in the reply only.
// Secrets: script and environment of an instance are shown to every holder of a key, so the script
// holds none. A key rules over the whole account; there are none with less.
//
// What the vendor's pages do not say: the status of an unknown id (404 is taken), the code for no
// funds (the text is looked at), the largest script (16 KB is kept).
#pragma once

#include "core/provider/cloud_api.h"

namespace mayfly {

class ShadeformProvider final : public Provider {
 public:
  // The clock outlives it.
  ShadeformProvider(std::unique_ptr<HttpClient> http, Clock& clock, const CloudAccess& access,
                    const ApiPatience& patience = {});

  std::string name() const override {
    return "shadeform";
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
  Result<std::vector<Instance>> list_all();
  Result<std::string> key_id(const std::string& public_key, const std::string& run_id);

  Clock& clock_;
  CloudAccess access_;
  CloudApi api_;
};

}  // namespace mayfly
