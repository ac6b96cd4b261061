// Lambda Cloud: virtual machines of one company. OpenAPI 1.8.3, https://docs.lambda.ai.
//
// Money: price_cents_per_hour is whole cents for the whole instance. Billing is by the minute, from
// the passed health check until terminate; powering off does not end it. The vendor gives neither
// the time of creation nor what was spent, so the time goes into a tag and the sum is computed.
// Limits: none on the vendor's side. What ends a machine without us is the machine's own fuse, with
// a key on it, or `launch reap` from a laptop.
// Finding: tags mayfly-run and mayfly-created; name and hostname are mf-<run>-<attempt>.
// Pace: one request a second, and one launch in 12, for all users of a key together.
//
// Errors are told by their code, never by their text. A machine may refuse to be terminated while
// it is being launched (vm-has-not-launched): it is asked again.
#pragma once

#include "core/provider/cloud_api.h"

namespace mayfly {

class LambdaProvider final : public Provider {
 public:
  // The clock outlives it.
  LambdaProvider(std::unique_ptr<HttpClient> http, Clock& clock, const CloudAccess& access,
                 const ApiPatience& patience = {});

  std::string name() const override {
    return "lambda";
  }
  Result<std::vector<Offer>> offers() override;
  CreateOutcome create(const InstanceSpec& spec) override;
  Result<std::vector<Instance>> list_ours() override;
  Result<std::vector<Instance>> find_run(const std::string& run_id) override;
  Result<Instance> get(const InstanceId& id) override;
  Status terminate(const InstanceId& id) override;
  ProviderTraits traits() const override;
  std::optional<DestroyCall> destroy_call() const override;

 private:
  Result<std::string> key_name(const std::string& public_key);

  Clock& clock_;
  CloudAccess access_;
  CloudApi api_;
};

}  // namespace mayfly
